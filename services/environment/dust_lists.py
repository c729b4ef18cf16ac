"""Pages of dust watches."""

from __future__ import annotations

from typing import Any

from lienthong.environment import v1
from mesh.pages import page_by_id
from mesh.store import Documents
from mesh.times import timestamp, to_ms
from services.environment.documents import NEVER_MS
from services.environment.documents_dust import DustWatch


def list_dust_watches(store: Documents, request: v1.ListDustWatchesRequest) -> v1.ListDustWatchesResponse:
    """A page of dust watches."""
    found, token = page_by_id(store, DustWatch, request, **_filters(request))
    return v1.ListDustWatchesResponse(dust_watches=map(dust_watch_message, found), next_page_token=token)


def dust_watch_message(watch: DustWatch) -> v1.DustWatch:
    """A dust watch as callers see it."""
    return v1.DustWatch(
        id=watch.id,
        station_ids=watch.station_ids,
        until=timestamp(None if watch.until_ms == NEVER_MS else watch.until_ms),
        state=watch.state,
        alert_index=watch.alert_index,
        causation_id=watch.causation_id,
        **{"from": timestamp(watch.from_ms)},  # a keyword
    )


def _filters(request: v1.ListDustWatchesRequest) -> dict[str, Any]:
    filters: dict[str, Any] = {"state": request.state} if request.state else {"state__gt": 0}
    if request.station_id:
        filters["station_ids"] = request.station_id
    if request.HasField("at"):
        moment = to_ms(request.at)
        filters |= {"from_ms__lte": moment, "until_ms__gt": moment}
    return filters
