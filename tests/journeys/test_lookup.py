"""Đà Nẵng looks up the air of Huế: one trace over the border, one record in Huế, and nothing once it is revoked."""

import ssl
from datetime import UTC, datetime, timedelta

import grpc
import httpx
import pytest

from lienthong.environment.v1 import (
    BAND_BAD,
    CloseHoursRequest,
    Concentrations,
    GetStationRequest,
    ListDailyAirQualityRequest,
    ListHourlyAirQualityRequest,
    ListStationsRequest,
    Location,
    Reading,
    RecordReadingsRequest,
    RegisterStationRequest,
    Station,
)
from lienthong.exchange.v1 import ListLookupsRequest, RevokeAgreementRequest
from tests.hosts import detail_of, eventually
from tests.journeys.otlp import CALLER, CLIENT, SERVER, ancestors, traced

AGREEMENT = "hue-dn-lookup-1"
STATION = Station(id="thuan-hoa", name="Thuận Hòa", location=Location(latitude=16.47, longitude=107.58))
TRACE = "4bf92f3577b34da6a3ce929d0e0e4738"
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)


async def test_a_neighbour_s_air_is_looked_up_while_an_agreement_grants_it(start, receiver):
    """Stations, hours and days; what the agreement withholds is named."""
    country = await start("da-nang", "hue", agreements=[AGREEMENT])
    da_nang, hue = country["da-nang"], country["hue"]
    await _bad_hours(hue)

    there = await da_nang.call(da_nang.environment.ListStations, ListStationsRequest(locality="hue"), traced(TRACE))
    asked = ListHourlyAirQualityRequest(station_id=STATION.id, locality="hue")
    hours = await da_nang.call(da_nang.environment.ListHourlyAirQuality, asked)
    day = (HOUR + timedelta(hours=7)).date()
    of_days = ListDailyAirQualityRequest(
        station_id=STATION.id,
        locality="hue",
        from_day=str(day - timedelta(days=1)),
        until_day=str(day + timedelta(days=1)),
    )
    days = await da_nang.call(da_nang.environment.ListDailyAirQuality, of_days)
    one = GetStationRequest(station_id=STATION.id, locality="hue")

    assert list(there.stations) == [STATION]
    assert (await da_nang.call(da_nang.environment.ListStations, ListStationsRequest())).stations == []
    assert (await da_nang.call(da_nang.environment.GetStation, one)).station == STATION
    assert max(hour.band for hour in hours.hours) >= BAND_BAD
    assert {hour.readings_used for hour in hours.hours} == {0}
    assert set(hours.withheld) == {"hours.revision", "hours.means", "hours.readings_used", "hours.readings_flagged"}
    assert days.days
    assert not days.withheld
    await _assert_one_trace(receiver)
    over_json = await _over_json(da_nang, f"/environment/v1/stations/{STATION.id}/hours?locality=hue")
    assert over_json.status_code == 200
    told = [hour.get("index", 0) for hour in over_json.json()["hours"]]  # absent where it cannot be computed
    assert told == [hour.index for hour in hours.hours]
    assert "hours.means" in over_json.json()["withheld"]

    records = (await hue.call(hue.exchange.ListLookups, ListLookupsRequest())).lookups
    first = records[-1]
    assert [record.outcome for record in records] == 5 * ["OK"]
    assert (first.recipient, first.agreement, first.purpose) == ("da-nang", AGREEMENT, "public-health warning")
    assert (first.rpc, first.trace_id) == ("lienthong.environment.v1.EnvironmentService/ListStations", TRACE)

    await hue.call(hue.exchange.RevokeAgreement, RevokeAgreementRequest(request_id="end", agreement_id=AGREEMENT))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await da_nang.call(da_nang.environment.ListStations, ListStationsRequest(locality="hue"))
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert detail_of(refused.value, "ErrorInfo").metadata == {"agreement": AGREEMENT}
    over_json = await _over_json(da_nang, "/environment/v1/stations?locality=hue")
    assert over_json.status_code == 403
    assert AGREEMENT in over_json.json()["message"]


async def _over_json(city, path):
    """What an outsider gets who knows the address of the edge and nothing else."""
    believed = ssl.create_default_context(cafile=city.at.ca)
    async with httpx.AsyncClient(base_url=city.at.edge, verify=believed) as client:
        return await client.get(path, headers={"authorization": f"Bearer {city.at.token}"}, timeout=20)


async def _bad_hours(city):
    await city.call(city.environment.RegisterStation, RegisterStationRequest(request_id="station", station=STATION))
    readings = [
        Reading(
            station_id=STATION.id,
            observed_at=HOUR + timedelta(minutes=minutes),
            concentrations=Concentrations(pm25_ug_m3=200),
        )
        for minutes in (5, 25, 45, 65, 85, 105)
    ]
    await city.call(city.environment.RecordReadings, RecordReadingsRequest(request_id="readings", readings=readings))
    await city.call(city.environment.CloseHours, CloseHoursRequest(request_id="close"))


async def _assert_one_trace(receiver):
    """From the sector that answered back to the call, each hop a span of the one before; no value is in any."""

    def way():
        spans = receiver.trace(TRACE)
        answered = [span for span in spans if (span.kind, span.locality) == (SERVER, "hue")]
        ways = ([span, *ancestors(span, spans)] for span in answered if span.name.endswith("/ListStations"))
        return next((way for way in ways if way[-1].parent == CALLER), None)

    found = await eventually(way)

    environment, exchange = "lienthong.environment.v1.EnvironmentService", "lienthong.exchange.v1.ExchangeService"
    assert [(span.kind, span.locality, span.name) for span in found] == [
        (SERVER, "hue", f"{environment}/ListStations"),
        (CLIENT, "hue", f"{environment}/ListStations"),
        (SERVER, "hue", f"{exchange}/AnswerLookup"),
        (CLIENT, "da-nang", f"{exchange}/AnswerLookup"),
        (SERVER, "da-nang", f"{exchange}/Lookup"),
        (CLIENT, "da-nang", f"{exchange}/Lookup"),
        (SERVER, "da-nang", f"{environment}/ListStations"),
    ]
    assert found[-1].attributes["lienthong.agreement"] == AGREEMENT
    assert STATION.id not in str([span.attributes for span in receiver.trace(TRACE)])
