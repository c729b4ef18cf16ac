"""Field reports: routed to who owns their category, rerouted, answered by who they are with."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nameko.testing.services import worker_factory

from lienthong.administration import v1
from lienthong.administration.v1 import (
    FIELD_REPORT_STATE_ANSWERED,
    FIELD_REPORT_STATE_ROUTED,
    REPORT_CATEGORY_BAD_AIR,
    REPORT_CATEGORY_FOOD_SAFETY,
    REPORT_CATEGORY_ROAD_DAMAGE,
    SECTOR_ADMINISTRATION,
    SECTOR_ENVIRONMENT,
    SECTOR_HEALTH,
    SECTOR_TRANSPORT,
    SECTOR_UNSPECIFIED,
    FieldReportAnswered,
    FieldReportRouted,
    ReportCategory,
    Sector,
)
from mesh.errors import AlreadyExists, FailedPrecondition, NotFound
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from services.administration.report_routing import owner_of
from services.administration.service import AdministrationService

NOW = datetime(2026, 11, 9, 3, tzinfo=UTC)
HERE = v1.Location(latitude=16.07, longitude=108.22)
WORDS, PHONE = "Ổ gà sâu trước nhà số 5", "0905 000 111"


@dataclass
class Desk:
    """Short ways to ask for what is done with field reports."""

    service: Any
    emitted: RecordingEmit
    clock: ManualClock
    requests: Iterator[int] = field(default_factory=itertools.count)

    def file(self, category: int = REPORT_CATEGORY_ROAD_DAMAGE, **given: Any) -> v1.FieldReport:
        said = {"location": HERE, "description": WORDS, "contact": PHONE, "photo_ref": "photo-1", **given}
        request = v1.FileFieldReportRequest(**{"request_id": self._id(), "category": category, **said})
        return self.service.file_field_report(request).report

    def reroute(self, id: str, sector: int) -> v1.FieldReport:
        request = v1.RerouteFieldReportRequest(request_id=self._id(), report_id=id, sector=sector)
        return self.service.reroute_field_report(request).report

    def answer(self, id: str, sector: int = SECTOR_TRANSPORT) -> v1.FieldReport:
        request = v1.AnswerFieldReportRequest(request_id=self._id(), report_id=id, sector=sector, answer="Đã sửa.")
        return self.service.answer_field_report(request).report

    def get(self, id: str) -> v1.FieldReport:
        return self.service.get_field_report(v1.GetFieldReportRequest(report_id=id)).report

    def list(self, **wanted: Any) -> v1.ListFieldReportsResponse:
        return self.service.list_field_reports(v1.ListFieldReportsRequest(**wanted))

    def listed(self, **wanted: Any) -> list[str]:
        return [report.id for report in self.list(**wanted).reports]

    def _id(self) -> str:
        return f"request-{next(self.requests)}"


def new_desk() -> Desk:
    emitted, clock = RecordingEmit(), ManualClock(NOW)
    service = worker_factory(AdministrationService, store=MemoryStore(), emit=emitted, clock=clock, here="da-nang")
    return Desk(service, emitted, clock)


@pytest.fixture
def desk() -> Desk:
    return new_desk()


def test_every_category_has_an_owner_and_a_source():
    lines = files("services.administration").joinpath("report_routing.csv").read_text("utf-8").splitlines()
    rows = list(csv.DictReader(lines))

    assert [f"REPORT_CATEGORY_{row['category']}" for row in rows] == list(ReportCategory.keys())[1:]
    assert all(row["source"] for row in rows)
    assert [f"SECTOR_{row['sector']}" for row in rows] == [
        Sector.Name(owner_of(number)) for number in list(ReportCategory.values())[1:]
    ]


def test_a_category_of_a_later_contract_goes_to_administration():
    assert owner_of(99) == SECTOR_ADMINISTRATION


def test_a_report_goes_to_the_owner_of_its_category(desk: Desk):
    reports = [
        desk.file(c) for c in (REPORT_CATEGORY_ROAD_DAMAGE, REPORT_CATEGORY_BAD_AIR, REPORT_CATEGORY_FOOD_SAFETY)
    ]

    assert [report.sector for report in reports] == [SECTOR_TRANSPORT, SECTOR_ENVIRONMENT, SECTOR_HEALTH]
    assert {report.state for report in reports} == {FIELD_REPORT_STATE_ROUTED}


def test_the_sector_is_told_where_and_what_but_not_by_whom(desk: Desk):
    report = desk.file()

    [told] = desk.emitted.messages
    expected = FieldReportRouted(
        report_id=report.id,
        category=REPORT_CATEGORY_ROAD_DAMAGE,
        sector=SECTOR_TRANSPORT,
        location=HERE,
        photo_ref="photo-1",
    )
    expected.filed_at.FromDatetime(NOW)
    expected.routed_at.FromDatetime(NOW)
    assert told == expected


def test_a_rerouted_report_is_told_with_the_time_it_came_to_its_new_sector(desk: Desk):
    report = desk.file()
    desk.clock.advance(timedelta(hours=2))

    desk.reroute(report.id, SECTOR_ENVIRONMENT)

    told = desk.emitted.of(FieldReportRouted)[1]
    assert told.sector == SECTOR_ENVIRONMENT
    assert told.routed_at.ToDatetime(UTC) - told.filed_at.ToDatetime(UTC) == timedelta(hours=2)
    assert desk.get(report.id).sector == SECTOR_ENVIRONMENT


def test_a_report_routed_to_where_it_is_is_no_news(desk: Desk):
    report = desk.file()

    desk.reroute(report.id, SECTOR_TRANSPORT)

    assert len(desk.emitted.messages) == 1


def test_an_answer_closes_the_report_and_is_told(desk: Desk):
    report = desk.file()
    desk.clock.advance(timedelta(days=1))

    desk.answer(report.id)

    closed = desk.get(report.id)
    assert (closed.state, closed.answer, closed.answered_by) == (
        FIELD_REPORT_STATE_ANSWERED,
        "Đã sửa.",
        SECTOR_TRANSPORT,
    )
    [told] = desk.emitted.of(FieldReportAnswered)
    assert (told.report_id, told.answered_by, told.answered_at) == (report.id, SECTOR_TRANSPORT, closed.answered_at)
    assert told.filed_at.ToDatetime(UTC) == NOW


def test_only_the_sector_it_is_with_answers(desk: Desk):
    report = desk.file()

    with pytest.raises(FailedPrecondition, match="is with TRANSPORT"):
        desk.answer(report.id, SECTOR_HEALTH)

    assert desk.get(report.id).state == FIELD_REPORT_STATE_ROUTED


def test_an_answer_is_final(desk: Desk):
    report = desk.file()
    desk.answer(report.id)

    for again in (lambda: desk.answer(report.id), lambda: desk.reroute(report.id, SECTOR_HEALTH)):
        with pytest.raises(FailedPrecondition, match="ANSWERED") as refused:
            again()
        assert refused.value.allowed == ("ROUTED",)


def test_a_report_there_never_was_is_not_found(desk: Desk):
    for ask in (desk.get, desk.answer, lambda id: desk.reroute(id, SECTOR_HEALTH)):
        with pytest.raises(NotFound):
            ask("nobody")


def test_the_request_id_of_another_report_is_taken(desk: Desk):
    desk.file(request_id="r")

    with pytest.raises(AlreadyExists):
        desk.file(request_id="r")


def test_only_who_asks_for_one_report_learns_of_the_citizen(desk: Desk):
    filed = desk.file()
    answers = [filed, desk.reroute(filed.id, SECTOR_HEALTH), desk.answer(filed.id, SECTOR_HEALTH), *desk.list().reports]

    assert (desk.get(filed.id).description, desk.get(filed.id).contact) == (WORDS, PHONE)
    assert {(report.description, report.contact) for report in answers} == {("", "")}


def test_reports_are_listed_by_page_state_sector_and_category(desk: Desk):
    roads = sorted(desk.file().id for _ in range(4))
    air = desk.file(REPORT_CATEGORY_BAD_AIR).id
    desk.answer(roads[0])

    first = desk.list(page_size=3)
    second = desk.list(page_size=3, page_token=first.next_page_token)
    assert [report.id for report in (*first.reports, *second.reports)] == sorted([*roads, air])
    assert second.next_page_token == ""
    assert desk.listed(state=FIELD_REPORT_STATE_ANSWERED) == roads[:1]
    assert desk.listed(state=FIELD_REPORT_STATE_ROUTED, sector=SECTOR_TRANSPORT) == roads[1:]
    assert desk.listed(category=REPORT_CATEGORY_BAD_AIR) == [air]
    assert desk.listed(category=REPORT_CATEGORY_BAD_AIR, sector=SECTOR_HEALTH) == []


sectors = st.sampled_from([number for number in Sector.values() if number != SECTOR_UNSPECIFIED])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["answer", "reroute"]), sectors), max_size=10))
def test_no_sequence_of_calls_leaves_the_state_table(calls: list[tuple[str, int]]):
    desk = new_desk()
    id = desk.file().id

    for call, sector in calls:
        before = desk.get(id)
        is_open = before.state == FIELD_REPORT_STATE_ROUTED
        allowed = is_open and (call == "reroute" or sector == before.sector)
        told = len(desk.emitted.messages)
        try:
            getattr(desk, call)(id, sector)
        except FailedPrecondition:
            assert not allowed
            assert desk.get(id) == before
            assert len(desk.emitted.messages) == told
            continue
        assert allowed
        after = desk.get(id)
        assert after.state == (FIELD_REPORT_STATE_ANSWERED if call == "answer" else FIELD_REPORT_STATE_ROUTED)
        assert after.sector == sector
        assert len(desk.emitted.messages) - told == (after != before)
