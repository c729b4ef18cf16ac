"""How agencies met their deadlines: counters that each move of a case keeps true, so that none has to be counted again.

What a case counts for follows from the case alone (`tally`): a move subtracts what it counted for before, and adds
what it counts for now.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from lienthong.administration import v1
from lienthong.administration.v1 import (
    CASE_STATE_PROCESSED,
    PUNCTUALITY_EARLY,
    PUNCTUALITY_LATE,
    PUNCTUALITY_ON_TIME,
)
from mesh.errors import InvalidArgument
from mesh.store import Documents
from services.administration.agency_code import agency_code
from services.administration.case_states import Clock, clock_of, is_open
from services.administration.documents import Agency, AgencyDay, Case, agency_day_id
from services.administration.times import local_day

PAGE: Final = 100
MAX_DAYS_BETWEEN: Final = 366

_ANY_DAY: Final = ""
_COLUMNS: Final = {PUNCTUALITY_EARLY: "early", PUNCTUALITY_ON_TIME: "on_time", PUNCTUALITY_LATE: "late"}

Tally = Counter[tuple[str, str]]
"""Numbers by day and column; the day is empty for those that have none."""


def tally(case: Case) -> Tally:
    """What a case counts for at the agency that decides it."""
    counted: Tally = Counter()
    counted[_ANY_DAY, "open"] = int(is_open(case.state))
    counted[_ANY_DAY, "paused"] = int(clock_of(case.state) is Clock.STANDS)
    if case.due_day:
        counted[case.due_day, "due"] = 1
    processed_at_ms = case.became(CASE_STATE_PROCESSED)
    if processed_at_ms is not None:
        counted[local_day(processed_at_ms).isoformat(), _COLUMNS[case.punctuality]] = 1
    return counted


def recount(store: Documents, agency: str, before: Tally, after: Tally) -> None:
    """Stages the counters of an agency after one of its cases changed."""
    for (day, column), change in _difference(before, after).items():
        counters = _counters(store, agency, day)
        counters[column] += change
        store.put(counters)


def list_agency_statistics(
    store: Documents, request: v1.ListAgencyStatisticsRequest, today: date
) -> v1.ListAgencyStatisticsResponse:
    """A page of agencies; its token is the last code."""
    first, last = _days(request)
    size = request.page_size or PAGE
    wanted = {"id__gt": request.page_token}
    if request.agency_code:
        wanted["id__in"] = [agency_code(request.agency_code, "agency_code")]
    agencies = store.find(Agency, order_by=("id",), limit=size + 1, **wanted)
    token = agencies[size - 1].id if len(agencies) > size else ""
    page = agencies[:size]
    ids = [agency.id for agency in page]
    sums = _sums(store.find(AgencyDay, agency_code__in=ids, day__gte=first.isoformat(), day__lte=last.isoformat()))
    over = _sums(store.find(AgencyDay, agency_code__in=ids, day__lt=today.isoformat(), due__gt=0))
    return v1.ListAgencyStatisticsResponse(
        agencies=[_statistics(agency, sums[agency.id], over[agency.id]["due"]) for agency in page],
        next_page_token=token,
    )


def _difference(before: Tally, after: Tally) -> Tally:
    """What changed, losses included (`Counter`'s own minus drops them)."""
    changed = Counter(after)
    changed.subtract(before)
    return Counter({key: change for key, change in changed.items() if change})


def _counters(store: Documents, agency: str, day: str) -> Agency | AgencyDay:
    if day == _ANY_DAY:
        return store.get(Agency, agency) or Agency(id=agency)
    id = agency_day_id(agency, day)
    return store.get(AgencyDay, id) or AgencyDay(id=id, agency_code=agency, day=day)


def _sums(days: Iterable[AgencyDay]) -> defaultdict[str, Counter[str]]:
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for day in days:
        sums[day.agency_code].update(early=day.early, on_time=day.on_time, late=day.late, due=day.due)
    return sums


def _statistics(agency: Agency, sums: Counter[str], open_late: int) -> v1.AgencyStatistics:
    counted: dict[str, Any] = {column: sums[column] for column in _COLUMNS.values()}
    return v1.AgencyStatistics(
        agency_code=agency.id, open=agency.open, open_late=open_late, paused=agency.paused, **counted
    )


def _days(request: v1.ListAgencyStatisticsRequest) -> tuple[date, date]:
    first, last = _day(request, "from_day"), _day(request, "until_day")
    if not 0 <= (last - first).days <= MAX_DAYS_BETWEEN:
        raise InvalidArgument.field("until_day", f"must be 0 to {MAX_DAYS_BETWEEN} days after from_day", rule="range")
    return first, last


def _day(request: v1.ListAgencyStatisticsRequest, field: str) -> date:
    try:
        return date.fromisoformat(getattr(request, field))
    except ValueError:
        raise InvalidArgument.field(field, "must be a day, as 2026-05-14", rule="date") from None
