"""Pages of stations and hours, and days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.environment import v1
from mesh.errors import InvalidArgument
from mesh.pages import PAGE, foreign_token, page, page_by_id
from mesh.store import Documents
from services.environment.documents import Hour, Station
from services.environment.messages import day_message, hour_message, means_of, station_message
from services.environment.vn_aqi import Means, daily_index

MAX_DAYS_BETWEEN: Final = 31

# A day begins at 00:00 in Asia/Ho_Chi_Minh, +07:00 all year.
_LOCAL_AHEAD_HOURS: Final = 7
_HOURS_BEFORE: Final = 7
_NS_PER_HOUR: Final = 3_600_000_000_000


def list_stations(store: Documents, request: v1.ListStationsRequest) -> v1.ListStationsResponse:
    """A page of stations."""
    found, token = page_by_id(store, Station, request)
    return v1.ListStationsResponse(stations=map(station_message, found), next_page_token=token)


def list_hours(store: Documents, request: v1.ListHourlyAirQualityRequest) -> v1.ListHourlyAirQualityResponse:
    """A page of closed hours; its token is the number of the last hour."""
    store.require(Station, request.station_id, "station")
    size = request.page_size or PAGE
    bounds = {"hour__gte": _from_hour(request)}
    if request.HasField("until"):
        bounds["hour__lt"] = _first_hour(request.until)
    found = _closed_hours(store, request.station_id, limit=size + 1, **bounds)
    hours, token = page(found, size, lambda hour: str(hour.hour))
    return v1.ListHourlyAirQualityResponse(hours=map(hour_message, hours), next_page_token=token)


def list_days(store: Documents, request: v1.ListDailyAirQualityRequest) -> v1.ListDailyAirQualityResponse:
    """Days with at least one closed hour."""
    store.require(Station, request.station_id, "station")
    first, last = _day(request, "from_day"), _day(request, "until_day")
    if not 0 <= (last - first).days <= MAX_DAYS_BETWEEN:
        raise InvalidArgument.field("until_day", f"must be 0 to {MAX_DAYS_BETWEEN} days after from_day", rule="range")
    start, end = _start_of(first), _start_of(last + timedelta(days=1))
    found = _closed_hours(store, request.station_id, hour__gte=start - _HOURS_BEFORE, hour__lt=end)
    means: dict[int, Means] = {hour.hour: means_of(hour) for hour in found}
    return v1.ListDailyAirQualityResponse(days=_days(request.station_id, first, last, means))


def _days(station_id: str, first: date, last: date, means: dict[int, Means]) -> Iterator[v1.DailyAirQuality]:
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        start = _start_of(day)
        count = sum(hour in means for hour in range(start, start + 24))
        if count:
            index = daily_index(_means(means, start, start + 24), _means(means, start - _HOURS_BEFORE, start))
            yield day_message(station_id, day.isoformat(), index, count)


def _means(means: dict[int, Means], start: int, end: int) -> list[Means]:
    return [means.get(hour, {}) for hour in range(start, end)]


def _closed_hours(store: Documents, station_id: str, limit: int | None = None, **bounds: Any) -> list[Hour]:
    return store.find(Hour, station_id=station_id, revision__gt=0, order_by=("hour",), limit=limit, **bounds)


def _from_hour(request: v1.ListHourlyAirQualityRequest) -> int:
    if request.page_token:
        try:
            return int(request.page_token) + 1
        except ValueError:
            raise foreign_token() from None
    return _first_hour(getattr(request, "from"))  # a keyword; unset it is 1970


def _first_hour(at: Timestamp) -> int:
    """The first hour that starts at or after a time."""
    return -(-at.ToNanoseconds() // _NS_PER_HOUR)


def _start_of(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 24 - _LOCAL_AHEAD_HOURS


def _day(request: v1.ListDailyAirQualityRequest, field: str) -> date:
    try:
        return date.fromisoformat(getattr(request, field))
    except ValueError:
        raise InvalidArgument.field(field, "must be a day, as 2026-05-14", rule="date") from None
