"""The exchange's answers, with documents in memory."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from nameko.testing.services import worker_factory

from lienthong.environment.v1 import BAND_BAD, AirQualityAlertRaised
from lienthong.exchange import v1 as pb
from mesh.auth import Caller
from mesh.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from mesh.events import Event, partition_of
from mesh.testing import ManualClock, MemoryStore
from services.exchange.admission import Crossing
from services.exchange.documents import AgreementDocument, Grant, Quarantined, Receipt, Tally
from services.exchange.service import ExchangeService
from services.exchange.settings import ExchangeSettings
from services.exchange.share_log import Page
from tests.unit.exchange.conftest import LIFTED, NOW, RAISED

MakeAgreement = Callable[..., pb.Agreement]
STATION = "48-hai-chau"
LINE = f"dn-hue-air-1/environment/air_quality_alert/{partition_of(STATION)}"
ALERT = Event(
    id="01937b1e-0000-7000-8000-000000000001",
    source="/da-nang/environment",
    type=RAISED,
    time=NOW,
    key=STATION,
    data=AirQualityAlertRaised(
        station_id=STATION, station_name="Hải Châu", band=BAND_BAD, index=163
    ).SerializeToString(),
    sequence=7,
    origin_sequence=7,
    key_revision=7,
)


class FakeShareLog:
    """A share log that remembers what it was asked."""

    def __init__(self) -> None:
        self.raised: dict[str, int] = {}

    def page(self, line: str, after_sequence: int, limit: int) -> Page:
        return Page([], 1, 9)

    def heads(self, agreement: str) -> dict[str, int]:
        return {LINE: 9}

    def raise_heads(self, sequences: Mapping[str, int]) -> None:
        self.raised.update(sequences)


class FakeBorder:
    def __init__(self, here: str, store: MemoryStore) -> None:
        self.here = here
        self.log = FakeShareLog()
        self._store = store

    def share_log(self, recipient: str) -> FakeShareLog:
        return self.log

    def carried(self, agreements: list[Any]) -> dict[str, int]:
        return {tally.agreement: tally.carried for tally in self._store.find(Tally)}


class RecordingForward:
    """Keeps what is forwarded, and where to."""

    def __init__(self) -> None:
        self.forwarded: list[tuple[Event, dict[str, str]]] = []

    def forward(self, event: Event, **where: str) -> None:
        self.forwarded.append((event, where))


class Exchange:
    """The service of one locality."""

    def __init__(self, here: str, caller: str = "hue") -> None:
        self.store = MemoryStore()
        self.clock = ManualClock(NOW)
        self.emit = RecordingForward()
        self.border = FakeBorder(here, self.store)
        self.service: Any = worker_factory(
            ExchangeService,
            store=self.store,
            emit=self.emit,
            clock=self.clock,
            border=self.border,
            caller=Caller("mesh", caller, frozenset()),
            settings=ExchangeSettings(),
        )

    def apply(self, agreement: pb.Agreement) -> pb.Agreement:
        return self.service.apply_agreement(pb.ApplyAgreementRequest(agreement=agreement)).agreement

    def move(self, verb: str, id: str = "dn-hue-air-1") -> pb.Agreement:
        request = getattr(pb, f"{verb}AgreementRequest")(agreement_id=id)
        return getattr(self.service, f"{verb.lower()}_agreement")(request).agreement

    def held(self) -> dict[str, str]:
        return {grant.id: grant.agreement for grant in self.store.find(Grant)}


@pytest.fixture
def da_nang() -> Exchange:
    return Exchange("da-nang")


@pytest.fixture
def hue() -> Exchange:
    return Exchange("hue")


class TestAgreements:
    def test_one_that_is_applied_is_active_and_holds_its_types(self, da_nang: Exchange, agreement: MakeAgreement):
        applied = da_nang.apply(agreement())

        assert applied.state == pb.AGREEMENT_STATE_ACTIVE
        assert da_nang.held() == dict.fromkeys([f"da-nang|hue|{RAISED}", f"da-nang|hue|{LIFTED}"], "dn-hue-air-1")

    def test_applied_again_it_is_as_it_was(self, da_nang: Exchange, agreement: MakeAgreement):
        first = da_nang.apply(agreement())
        da_nang.clock.advance(timedelta(days=1))

        assert da_nang.apply(agreement()) == first

    def test_one_that_may_not_be_kept_is_refused(self, da_nang: Exchange, agreement: MakeAgreement):
        with pytest.raises(InvalidArgument):
            da_nang.apply(agreement(recipient="quang-nam"))

        assert da_nang.store.find(AgreementDocument) == []

    def test_two_do_not_share_the_same_type(self, da_nang: Exchange, agreement: MakeAgreement):
        da_nang.apply(agreement())

        with pytest.raises(FailedPrecondition, match="dn-hue-air-1 is ACTIVE and already grants"):
            da_nang.apply(agreement(id="dn-hue-air-2"))

        da_nang.move("Suspend")
        assert da_nang.held() == {}
        da_nang.apply(agreement(id="dn-hue-air-2"))
        with pytest.raises(FailedPrecondition, match="dn-hue-air-2 is ACTIVE"):
            da_nang.move("Resume")

    def test_suspended_resumed_and_revoked(self, da_nang: Exchange, agreement: MakeAgreement):
        da_nang.apply(agreement())

        assert da_nang.move("Suspend").state == pb.AGREEMENT_STATE_SUSPENDED
        assert da_nang.move("Resume").state == pb.AGREEMENT_STATE_ACTIVE
        assert da_nang.store.get(AgreementDocument, "dn-hue-air-1").activation == 2
        assert da_nang.move("Revoke").state == pb.AGREEMENT_STATE_REVOKED
        assert da_nang.held() == {}
        with pytest.raises(FailedPrecondition):
            da_nang.move("Resume")

    def test_an_unknown_one_is_not_found(self, da_nang: Exchange):
        for verb in ("Suspend", "Resume", "Revoke", "Get"):
            with pytest.raises(NotFound):
                da_nang.move(verb)

    def test_expire_when_their_validity_is_over(self, da_nang: Exchange, agreement: MakeAgreement):
        da_nang.apply(agreement())
        assert not da_nang.service.expire_agreements()

        da_nang.clock.advance(timedelta(days=400))
        assert da_nang.service.expire_agreements()

        assert not da_nang.service.expire_agreements()
        assert da_nang.move("Get").state == pb.AGREEMENT_STATE_EXPIRED
        assert da_nang.held() == {}

    def test_are_listed_page_by_page_and_by_state(self, da_nang: Exchange, agreement: MakeAgreement):
        for number in (1, 2, 3):
            made = agreement(id=f"dn-hue-air-{number}")
            del made.events[:]
            made.events.add(type=RAISED, fields=["*"])
            da_nang.apply(made)
            if number < 3:
                da_nang.move("Revoke", made.id)

        def page(**wanted: Any) -> tuple[list[str], str]:
            listed = da_nang.service.list_agreements(pb.ListAgreementsRequest(**wanted))
            return [found.id for found in listed.agreements], listed.next_page_token

        assert page(page_size=2) == (["dn-hue-air-1", "dn-hue-air-2"], "dn-hue-air-2")
        assert page(page_size=2, page_token="dn-hue-air-2") == (["dn-hue-air-3"], "")
        assert page(state=pb.AGREEMENT_STATE_ACTIVE) == (["dn-hue-air-3"], "")
        with pytest.raises(InvalidArgument, match="state"):
            page(state=99)


class TestOutward:
    def test_an_agreed_event_is_shared_with_its_recipient(self, da_nang: Exchange, agreement: MakeAgreement):
        da_nang.apply(agreement())

        da_nang.service.share(ALERT, "dn-hue-air-1")

        [(shared, where)] = da_nang.emit.forwarded
        assert AirQualityAlertRaised.FromString(shared.data) == AirQualityAlertRaised(
            station_id=STATION, band=BAND_BAD, index=163
        )
        assert "station_name" in shared.withheld
        assert "index" not in shared.withheld
        assert (shared.id, shared.origin_sequence, shared.key_revision) == (ALERT.id, 7, 7)
        assert where == {
            "log": "shared-hue",
            "line": LINE,
            "subject": f"shared.da-nang.hue.{LINE.replace('/', '.')}",
        }

    @pytest.mark.parametrize("verb", ["Suspend", "Revoke"])
    def test_nothing_is_shared_when_it_no_longer_may(self, da_nang: Exchange, agreement: MakeAgreement, verb: str):
        da_nang.apply(agreement())
        da_nang.move(verb)

        da_nang.service.share(ALERT, "dn-hue-air-1")
        da_nang.service.share(ALERT, "unknown")

        assert da_nang.emit.forwarded == []

    def test_the_recipient_reads_the_share_log(self, da_nang: Exchange, agreement: MakeAgreement):
        da_nang.apply(agreement())

        read = da_nang.service.read_share_log(pb.ReadShareLogRequest(agreement_id="dn-hue-air-1", line=LINE))

        assert (read.floor_sequence, read.head_sequence) == (1, 9)

    @pytest.mark.parametrize("caller", ["da-nang", "ha-noi"])
    def test_nobody_else_does(self, agreement: MakeAgreement, caller: str):
        da_nang = Exchange("da-nang", caller)
        da_nang.apply(agreement())

        for call in (
            lambda: da_nang.service.read_share_log(pb.ReadShareLogRequest(agreement_id="dn-hue-air-1", line=LINE)),
            lambda: da_nang.service.report_receipts(pb.ReportReceiptsRequest(agreement_id="dn-hue-air-1")),
        ):
            with pytest.raises(PermissionDenied, match="shares nothing of da-nang with you"):
                call()

    def test_nor_the_line_of_another_agreement_nor_when_it_does_not_carry(
        self, da_nang: Exchange, agreement: MakeAgreement
    ):
        da_nang.apply(agreement())
        other = LINE.replace("air-1", "air-2")

        with pytest.raises(PermissionDenied):
            da_nang.service.read_share_log(pb.ReadShareLogRequest(agreement_id="dn-hue-air-1", line=other))
        da_nang.move("Suspend")
        with pytest.raises(PermissionDenied, match="SUSPENDED"):
            da_nang.service.read_share_log(pb.ReadShareLogRequest(agreement_id="dn-hue-air-1", line=LINE))

    def test_receipts_are_kept_and_answered_with_the_heads(self, da_nang: Exchange, agreement: MakeAgreement):
        da_nang.apply(agreement())

        def report(sequence: int) -> dict[str, int]:
            request = pb.ReportReceiptsRequest(agreement_id="dn-hue-air-1", sequences={LINE: sequence})
            return dict(da_nang.service.report_receipts(request).heads)

        assert report(4) == {LINE: 9}
        report(2)

        assert da_nang.store.get(Receipt, "dn-hue-air-1").sequences == {LINE: 4}
        assert da_nang.border.log.raised[LINE] == 2

    @pytest.mark.parametrize("line", ["dn-hue-air-1/environment/air_quality_alert/8", "x.y/$z", "other/a/b/0"])
    def test_receipts_of_foreign_lines_are_refused(self, da_nang: Exchange, agreement: MakeAgreement, line: str):
        da_nang.apply(agreement())

        with pytest.raises(InvalidArgument):
            da_nang.service.report_receipts(pb.ReportReceiptsRequest(agreement_id="dn-hue-air-1", sequences={line: 1}))


class TestInward:
    CROSSING = Crossing.of(f"shared.da-nang.hue.{LINE.replace('/', '.')}")
    ARRIVED = replace(
        ALERT,
        data=AirQualityAlertRaised(station_id=STATION, band=BAND_BAD, index=163).SerializeToString(),
        sequence=3,
        withheld=("note",),
    )

    def test_an_agreed_event_is_logged_under_its_origin(self, hue: Exchange, agreement: MakeAgreement):
        hue.apply(agreement())

        hue.service.admit(self.ARRIVED, self.CROSSING, NOW)

        [(admitted, where)] = hue.emit.forwarded
        assert where == {"line": f"da-nang/environment/air_quality_alert/{partition_of(STATION)}"}
        assert (admitted.id, admitted.origin_sequence) == (ALERT.id, 7)
        assert {"note", "station_name"} <= set(admitted.withheld)
        assert hue.move("Get").carried == 1

    def test_the_same_event_is_let_in_once(self, hue: Exchange, agreement: MakeAgreement):
        hue.apply(agreement())

        for sequence, at_birth in enumerate((7, 9, 7, 8, 9, 8), start=3):
            hue.service.admit(replace(self.ARRIVED, sequence=sequence, origin_sequence=at_birth), self.CROSSING, NOW)

        assert [admitted.origin_sequence for admitted, _ in hue.emit.forwarded] == [7, 9, 8]

    def test_what_no_agreement_allows_is_quarantined_once(self, hue: Exchange):
        for _ in range(2):
            hue.service.admit(self.ARRIVED, self.CROSSING, NOW)

        assert hue.emit.forwarded == []
        [refused] = hue.store.find(Quarantined)
        assert refused.reason == "agreement dn-hue-air-1 is not known here"
        assert refused.expire_at == NOW + timedelta(days=90)

    def test_the_quarantine_is_listed_newest_first_page_by_page(self, hue: Exchange):
        ids = [str(uuid.UUID(int=number)) for number in range(5)]
        for number, id in enumerate(ids):
            hue.service.admit(replace(self.ARRIVED, id=id), self.CROSSING, NOW)
            if number % 2:
                hue.clock.advance(timedelta(milliseconds=1))

        found, token = [], ""
        while True:
            page = hue.service.list_quarantine(pb.ListQuarantineRequest(page_size=2, page_token=token))
            found += [event.id.rpartition("|")[2] for event in page.events]
            token = page.next_page_token
            if not token:
                break

        assert found == ids[::-1]
        with pytest.raises(InvalidArgument, match="page_token"):
            hue.service.list_quarantine(pb.ListQuarantineRequest(page_token="yesterday"))


def test_its_log_takes_the_events_of_all_others():
    subjects = ExchangeService.log_subjects("hue")

    assert len(subjects) == 34
    assert "events.da-nang.>" in subjects
    assert "events.national.>" in subjects
    assert "events.hue.>" not in subjects
