"""Cases over the wire, on real servers: filed, moved, listed, counted, and in two localities at once."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from lienthong.administration import v1
from lienthong.administration.v1 import CaseFiled, CaseMoved
from lienthong.administration.v1.administration_service_pb2_grpc import AdministrationServiceStub
from lienthong.exchange.v1 import ListQuarantineRequest, ListQuarantineResponse
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from mesh import rpc
from mesh.events import new_event, source_of
from mesh.testing import ManualClock
from services.administration.documents import case_id
from services.administration.service import AdministrationService
from services.exchange.service import ExchangeService
from tests.hosts import Home, detail_of, eventually

MONDAY = datetime(2026, 11, 9, 2, tzinfo=UTC)
AGENCY = "H17.01"
APPLICANT = "applicant-7"
FILED, ACCEPTED, NOT_ACCEPTED, IN_PROCESS, MORE_PAPERS, FEE, WITHDRAWN, STOPPED, PROCESSED, RETURNED = range(1, 11)


class Office:
    """The administration of one locality as its clerks see it, and an exchange to tell it of peers."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = ManualClock(MONDAY)
        self.peer = "hue" if home.locality != "hue" else "da-nang"
        self._born = 0

    async def open(self) -> None:
        self.host = await self.home.start(AdministrationService, Admitting, clock=self.clock)

    async def ask(self, method: str, request: Message) -> Any:
        return await self._call(AdministrationServiceStub, method, request)

    async def file(self, request_id: str = "", **given: Any) -> v1.Case:
        wanted = {"procedure_code": "1.004194", "channel": v1.CHANNEL_POST, "applicant_ref": APPLICANT}
        wanted |= {"received_by": AGENCY, "agency_code": AGENCY, **given}
        request = v1.FileCaseRequest(request_id=request_id or uuid.uuid4().hex, **wanted)
        return (await self.ask("FileCase", request)).case

    async def move(self, case: v1.Case, *states: int) -> v1.Case:
        for state in states:
            request = v1.MoveCaseRequest(request_id=uuid.uuid4().hex, case_id=case.id, to_state=state)
            case = (await self.ask("MoveCase", request)).case
        return case

    async def case(self, id: str) -> v1.Case:
        return (await self.ask("GetCase", v1.GetCaseRequest(case_id=id))).case

    async def state(self, id: str) -> int:
        """0 while there is no such case."""
        found = self.home.database("administration")["cases"].find_one({"_id": id})
        return found["state"] if found else 0

    async def hear(self, *messages: Message) -> None:
        """Lets the exchange log these events as the peer's, in this order."""
        await eventually(self._listens)
        Admitting.said = [self._born_at_peer(message) for message in messages]
        await self._call(ExchangeServiceStub, "ListQuarantine", ListQuarantineRequest())

    def events(self, kind: type[Message]) -> list[Any]:
        """Logged events of a type, in order."""
        name, logged = kind.DESCRIPTOR.full_name, self.home.log("administration")
        return [kind.FromString(raw["data"]) for raw in logged if raw["headers"]["ce-type"] == name]

    def _born_at_peer(self, message: Message) -> Any:
        self._born += 1
        event = new_event(message, source=source_of(self.peer, "administration"), time=self.clock.now())
        return replace(event, origin_sequence=self._born, key_revision=self._born)

    def _listens(self) -> bool:
        flows = self.host.containers["administration"].flows
        return all(flow.started_at for flow in flows if flow.handling.subscription == "administration.case.peers")

    async def _call(self, stub: type[Any], method: str, request: Message) -> Any:
        metadata = [("authorization", f"Bearer {self.home.token('*')}")]
        return await getattr(stub(self.home.channel(self.host)), method)(request, metadata=metadata, timeout=20)


class Admitting(ExchangeService):
    """An exchange that logs what the test has a peer say."""

    said: list[Any] = []

    @rpc
    def list_quarantine(self, request: ListQuarantineRequest) -> ListQuarantineResponse:
        for event in self.said:
            self.emit.forward(event, line=event.line)
        return ListQuarantineResponse()


@pytest.fixture
async def office(home: Home) -> Office:
    office = Office(home)
    await office.open()
    return office


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


def broken(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Fields that were refused, with their rules."""
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    return {row.field: row.reason for row in detail_of(error, "BadRequest").field_violations}


# --- here -----------------------------------------------------------------------------------------------------------


async def test_a_case_is_filed_moved_and_processed(office: Office) -> None:
    filed = await office.file()
    await office.move(filed, ACCEPTED, IN_PROCESS, MORE_PAPERS)
    office.clock.advance(timedelta(days=2))
    case = await office.move(filed, IN_PROCESS, PROCESSED)

    assert (filed.code, filed.id) == ("H17.01-261109-0001", case_id(filed.code))
    assert (case.deadline_day, case.paused_working_days, case.punctuality) == ("2026-11-16", 2, v1.PUNCTUALITY_EARLY)
    assert [event.to_state for event in office.events(CaseMoved)] == [2, 4, 5, 4, 9]
    assert [event.case_id for event in office.events(CaseFiled)] == [filed.id]
    (agency,) = (await office.ask("ListAgencyStatistics", november())).agencies
    assert (agency.agency_code, agency.early, agency.open) == (AGENCY, 1, 0)


def november(**given: Any) -> v1.ListAgencyStatisticsRequest:
    return v1.ListAgencyStatisticsRequest(from_day="2026-11-01", until_day="2026-11-30", **given)


async def test_cases_filed_at_once_have_numbers_of_their_own(office: Office) -> None:
    cases = await asyncio.gather(*(office.file() for _ in range(30)))

    assert sorted(case.code for case in cases) == [f"H17.01-261109-{number:04}" for number in range(1, 31)]


async def test_cases_moved_at_once_are_all_counted(office: Office) -> None:
    cases = await asyncio.gather(*(office.file() for _ in range(10)))

    await asyncio.gather(*(office.move(case, ACCEPTED, IN_PROCESS) for case in cases))

    (agency,) = (await office.ask("ListAgencyStatistics", november())).agencies
    assert agency.open == 10


async def test_the_same_request_files_one_case(office: Office) -> None:
    first = await office.file("r1")
    again = await office.file("r1")
    other = await refusal(office.file("r1", channel=v1.CHANNEL_ONLINE))

    assert again == first
    assert other.code() == grpc.StatusCode.ALREADY_EXISTS
    assert len(office.events(CaseFiled)) == 1


async def test_pages_of_cases_and_of_agencies_are_followed_to_their_end(office: Office) -> None:
    agencies = [f"H17.0{number}" for number in range(1, 6)]
    for agency in agencies:
        await office.move(await office.file(received_by=agency, agency_code=agency), ACCEPTED)

    cases = await pages(office, "ListCases", v1.ListCasesRequest(page_size=2))
    counted = await pages(office, "ListAgencyStatistics", november(page_size=2))

    assert [len(page.cases) for page in cases] == [len(page.agencies) for page in counted] == [2, 2, 1]
    assert [case.agency_code for page in cases for case in page.cases] == agencies
    assert [agency.agency_code for page in counted for agency in page.agencies] == agencies


async def pages(office: Office, method: str, request: Any) -> list[Any]:
    found = [await office.ask(method, request)]
    while token := found[-1].next_page_token:
        request.page_token = token
        found.append(await office.ask(method, request))
    return found


async def test_overdue_cases_are_found_by_the_day(office: Office) -> None:
    case = await office.move(await office.file(), ACCEPTED)
    overdue = v1.ListCasesRequest(overdue_only=True, state=ACCEPTED, agency_code=AGENCY, filed_in=office.home.locality)

    before = await office.ask("ListCases", overdue)
    office.clock.advance(timedelta(days=4))
    after = await office.ask("ListCases", overdue)

    assert list(before.cases) == []
    assert [late.code for late in after.cases] == [case.code]


async def test_only_get_tells_the_applicant(office: Office) -> None:
    case = await office.file()
    listed = (await office.ask("ListCases", v1.ListCasesRequest())).cases[0]

    assert (await office.case(case.id)).applicant_ref == APPLICANT
    assert case.applicant_ref == listed.applicant_ref == ""
    assert not any(APPLICANT.encode() in raw["data"] for raw in office.home.log("administration"))


# --- bad input ------------------------------------------------------------------------------------------------------


async def test_invalid_fields_are_named_with_their_rules_and_nothing_is_written(office: Office) -> None:
    empty = await refusal(office.ask("FileCase", v1.FileCaseRequest(request_id="r1", received_by="no agency")))
    procedure = await refusal(office.file(procedure_code="1.999999"))
    locality = await refusal(office.file(decided_in="atlantis"))
    future = await refusal(office.file(filed_at=MONDAY + timedelta(hours=1)))

    assert broken(empty) == {
        "procedure_code": "REQUIRED",
        "channel": "REQUIRED",
        "received_by": "PATTERN",
        "agency_code": "REQUIRED",
        "applicant_ref": "REQUIRED",
    }
    assert broken(procedure) == {"procedure_code": "PROCEDURE"}
    assert broken(locality) == {"decided_in": "LOCALITY"}
    assert broken(future) == {"filed_at": "RANGE"}
    assert all(APPLICANT not in str(error.details()) for error in (procedure, locality, future))
    assert office.home.log("administration") == []
    assert office.home.database("administration")["case_numbers"].count_documents({}) == 0


async def test_a_case_that_is_unknown_is_not_found(office: Office) -> None:
    by_code = await refusal(office.ask("GetCase", v1.GetCaseRequest(case_code="H17.01-261109-0001")))
    moved = await refusal(office.move(v1.Case(id="nobody"), ACCEPTED))

    assert by_code.code() == moved.code() == grpc.StatusCode.NOT_FOUND
    assert detail_of(moved, "ResourceInfo").resource_name == "nobody"


async def test_a_move_that_is_not_allowed_names_those_that_are(office: Office) -> None:
    case = await office.file()

    error = await refusal(office.move(case, PROCESSED))

    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert detail_of(error, "ErrorInfo").metadata["allowed"] == "ACCEPTED,NOT_ACCEPTED,WITHDRAWN"
    assert office.events(CaseMoved) == []


async def test_statistics_of_no_range_are_refused(office: Office) -> None:
    request = v1.ListAgencyStatisticsRequest(from_day="2026-11-31", until_day="soon")

    assert broken(await refusal(office.ask("ListAgencyStatistics", request))) == {"until_day": "PATTERN"}
    request.until_day = "2026-12-31"
    assert broken(await refusal(office.ask("ListAgencyStatistics", request))) == {"from_day": "DATE"}


# --- across the border ----------------------------------------------------------------------------------------------


async def test_a_case_that_a_peer_filed_is_opened_once_and_decided_here(office: Office) -> None:
    filed = filed_at(office.peer, decided_in=office.home.locality)
    await office.hear(filed, filed)
    await eventually(lambda: office.state(filed.case_id))

    case = await office.move(v1.Case(id=filed.case_id), ACCEPTED)

    assert (case.code, case.filed_in, case.deadline_day) == (filed.case_code, office.peer, "2026-11-12")
    assert (await office.case(case.id)).applicant_ref == ""
    assert office.events(CaseFiled) == []
    (moved,) = office.events(CaseMoved)
    assert (moved.filed_in, moved.decided_in, moved.moves) == (office.peer, office.home.locality, 1)


def filed_at(filed_in: str, decided_in: str) -> CaseFiled:
    code = "H57.01-261109-0001"
    filed = CaseFiled(case_id=case_id(code), case_code=code, procedure_code="1.004194", channel=v1.CHANNEL_ONLINE)
    filed.received_by, filed.agency_code, filed.filed_in, filed.decided_in = "H57.01", AGENCY, filed_in, decided_in
    filed.filed_at.FromDatetime(MONDAY)
    return filed


async def test_a_case_filed_here_follows_the_moves_of_the_locality_that_decides_it(office: Office) -> None:
    case = await office.file(decided_in=office.peer, agency_code="H57.01")
    accepted, in_process = moved(office, case, 1, FILED, ACCEPTED), moved(office, case, 2, ACCEPTED, IN_PROCESS)

    await office.hear(accepted, in_process, accepted)
    await eventually(lambda: _is_in(office, case.id, IN_PROCESS))
    here = await refusal(office.move(case, WITHDRAWN))

    followed = await office.case(case.id)
    assert (followed.deadline_day, len(followed.moves), followed.applicant_ref) == ("2026-11-12", 2, APPLICANT)
    assert here.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert office.peer in (here.details() or "")
    assert office.events(CaseMoved) == []


async def _is_in(office: Office, id: str, state: int) -> bool:
    return await office.state(id) == state


def moved(office: Office, case: v1.Case, number: int, before: int, after: int) -> CaseMoved:
    event = CaseMoved(case_id=case.id, case_code=case.code, filed_in=office.home.locality, decided_in=office.peer)
    event.from_state, event.to_state, event.moves, event.deadline_day = before, after, number, "2026-11-12"
    event.moved_at.FromDatetime(MONDAY + timedelta(hours=number))
    return event


async def test_cases_of_others_and_of_no_code_have_no_effect(office: Office) -> None:
    elsewhere = filed_at(office.peer, decided_in="quang-ninh" if office.home.locality != "quang-ninh" else "ca-mau")
    forged = filed_at(office.peer, decided_in=office.home.locality)
    forged.case_id = "somebody-elses"

    await office.hear(elsewhere, forged)
    (letter,) = await eventually(lambda: office.home.letters("administration"))

    assert letter["headers"]["ce-subject"] == "somebody-elses"
    assert office.home.database("administration")["cases"].count_documents({}) == 0
