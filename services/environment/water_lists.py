"""Pages of water stations, stages and flood alarms."""

from __future__ import annotations

import re
from typing import Any

from lienthong.environment import v1
from mesh.pages import PAGE, foreign_token, page, page_by_id
from mesh.store import Documents
from mesh.times import to_ms
from services.environment.documents_water import FloodWatch, StageRecord, WaterStation
from services.environment.water_messages import alarm_message, stage_message, water_station_message


def list_water_stations(store: Documents, request: v1.ListWaterStationsRequest) -> v1.ListWaterStationsResponse:
    """A page of water stations."""
    found, token = page_by_id(store, WaterStation, request)
    return v1.ListWaterStationsResponse(stations=map(water_station_message, found), next_page_token=token)


def list_flood_alarms(store: Documents, request: v1.ListFloodAlarmsRequest) -> v1.ListFloodAlarmsResponse:
    """A page of alarms. A station whose alarm was never raised has none."""
    wanted = {"level__gte": request.at_least} if request.at_least else {"highest__gt": 0}
    found, token = page_by_id(store, FloodWatch, request, **wanted)
    return v1.ListFloodAlarmsResponse(alarms=map(alarm_message, found), next_page_token=token)


def list_stages(store: Documents, request: v1.ListStagesRequest) -> v1.ListStagesResponse:
    """A page of one station's stages; its token is the moment of the last."""
    store.require(WaterStation, request.station_id, "water station")
    size = request.page_size or PAGE
    filters = {"station_id": request.station_id, **_moments(request)}
    if request.flag:
        filters["flag"] = request.flag
    found = store.find(StageRecord, order_by=("observed_at_ms",), limit=size + 1, **filters)
    stages, token = page(found, size, lambda stage: str(stage.observed_at_ms))
    return v1.ListStagesResponse(stages=map(stage_message, stages), next_page_token=token)


def _moments(request: v1.ListStagesRequest) -> dict[str, Any]:
    """Bounds in whole milliseconds: stages are kept cut off to them."""
    bounds = {}
    if request.page_token:
        bounds["observed_at_ms__gt"] = _moment(request.page_token)
    elif request.HasField("from"):
        bounds["observed_at_ms__gte"] = to_ms(getattr(request, "from"))  # a keyword
    if request.HasField("until"):
        bounds["observed_at_ms__lt"] = to_ms(request.until)
    return bounds


def _moment(token: str) -> int:
    if re.fullmatch(r"-?\d{1,15}", token, re.ASCII):
        return int(token)
    raise foreign_token()
