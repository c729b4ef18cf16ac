"""Bad air in Đà Nẵng: an advisory there and in Huế, withdrawn when the alert is lifted, told by one trace."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from lienthong.environment.v1 import (
    CloseHoursRequest,
    Concentrations,
    Location,
    Reading,
    RecordReadingsRequest,
    RegisterStationRequest,
    Station,
)
from lienthong.exchange.v1 import ApplyAgreementRequest
from lienthong.health.v1 import ADVISORY_STATE_ISSUED, ADVISORY_STATE_WITHDRAWN
from mesh.stack import endpoints
from mesh.stack.stack import Stack
from services.exchange.agreement_file import bundled_agreements
from tests.hosts import eventually
from tests.journeys.city import City
from tests.journeys.otlp import TraceReceiver, ancestors

FIRST_HOUR = datetime(2026, 11, 9, 1, tzinfo=UTC)
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, PRODUCER, CONSUMER = 2, 4, 5


async def record(city, hour, pm25_ug_m3, *metadata):
    """Records three readings of one hour, counted from the first one of the journey."""
    readings = [
        Reading(
            station_id="hai-chau",
            observed_at=FIRST_HOUR + timedelta(hours=hour, minutes=minute),
            concentrations=Concentrations(pm25_ug_m3=pm25_ug_m3),
        )
        for minute in (5, 25, 45)
    ]
    request = RecordReadingsRequest(request_id=f"hour-{hour}", readings=readings)
    return await city.call(city.environment.RecordReadings, request, *metadata)


@pytest.fixture
def receiver():
    with TraceReceiver() as receiver:
        yield receiver


@pytest.fixture
async def cities(tmp_path, receiver, monkeypatch):
    """Đà Nẵng and Huế, everything they run, and the bundled agreement from the first to the second."""
    monkeypatch.setenv("LIENTHONG_OTLP_ENDPOINT", receiver.endpoint)
    async with Stack(["da-nang", "hue"], tmp_path / "data"):
        at = endpoints.read(tmp_path / "data" / "endpoints.json").localities
        cities = {slug: City(at[slug]) for slug in ("da-nang", "hue")}
        [agreement] = [
            found for found in bundled_agreements() if (found.provider, found.recipient) == ("da-nang", "hue")
        ]
        for slug in ("hue", "da-nang"):
            request = ApplyAgreementRequest(request_id="journey", agreement=agreement)
            await cities[slug].call(cities[slug].exchange.ApplyAgreement, request)
        yield cities
        await asyncio.gather(*(city.close() for city in cities.values()))


async def test_an_alert_in_da_nang_becomes_advice_in_hue_and_is_told_by_one_trace(cities, receiver):
    """Two bad hours raise an alert; ten good ones lift it; Huế learns only what the agreement says."""
    da_nang, hue = cities["da-nang"], cities["hue"]
    station = Station(id="hai-chau", name="Hải Châu", location=Location(latitude=16.07, longitude=108.22))
    await da_nang.call(
        da_nang.environment.RegisterStation, RegisterStationRequest(request_id="station", station=station)
    )
    for hour in (0, 1):
        await record(da_nang, hour, 200.0)

    await record(da_nang, 2, 5.0, ("traceparent", f"00-{TRACE}-{CALLER}-01"))  # closes hour 1: the alert is raised

    [here] = await eventually(lambda: da_nang.advisories(ADVISORY_STATE_ISSUED))
    [there] = await eventually(lambda: hue.advisories(ADVISORY_STATE_ISSUED))
    assert (here.origin, here.station_id) == (there.origin, there.station_id) == ("da-nang", "hai-chau")
    assert here.band == there.band
    assert here.advice_sensitive == there.advice_sensitive != ""
    assert there.causation_id == here.causation_id, "both follow the one event, under its own id"

    for hour in range(3, 14):
        await record(da_nang, hour, 5.0)
    await da_nang.call(da_nang.environment.CloseHours, CloseHoursRequest(request_id="end"))

    await eventually(lambda: da_nang.advisories(ADVISORY_STATE_WITHDRAWN))
    await eventually(lambda: hue.advisories(ADVISORY_STATE_WITHDRAWN))
    assert await hue.advisories(ADVISORY_STATE_ISSUED) == []

    await eventually(lambda: len(_way_back(receiver)) == 7 or None)
    _assert_one_trace(receiver)


def _way_back(receiver):
    """Spans from the effect in Huế to the call that caused it; processes export theirs at their own pace."""
    spans = receiver.trace(TRACE)
    effects = [
        span
        for span in spans
        if (span.kind, span.locality) == (CONSUMER, "hue")
        and span.attributes["messaging.consumer.group.name"].startswith("health.")
        and span.attributes["lienthong.topic"] == "air_quality_alert"
    ]
    return [effects[0], *ancestors(effects[0], spans)] if effects else []


def _assert_one_trace(receiver):
    """From the effect in Huế back to the call in Đà Nẵng, parent by parent, each consumer linked to its producer."""
    spans = receiver.trace(TRACE)
    way = _way_back(receiver)

    assert [(span.kind, span.locality) for span in way] == [
        (CONSUMER, "hue"),  # health's handler
        (PRODUCER, "hue"),  # relay of the exchange's log
        (CONSUMER, "hue"),  # exchange, inward
        (PRODUCER, "da-nang"),  # relay of the share log
        (CONSUMER, "da-nang"),  # exchange, outward
        (PRODUCER, "da-nang"),  # relay of environment's log
        (SERVER, "da-nang"),  # the call
    ]
    assert way[-1].parent == CALLER
    assert way[-1].name == "lienthong.environment.v1.EnvironmentService/RecordReadings"
    for consumer, producer in itertools.pairwise(way):
        if consumer.kind == CONSUMER:
            assert consumer.links == (producer.id,)
    assert {span.attributes.get("lienthong.agreement") for span in way[2:4]} == {"dn-hue-air-1"}
    commits = {span.locality for span in spans if span.name == "commit"}
    assert commits == {"da-nang", "hue"}
    assert "hai-chau" not in str([span.attributes for span in spans]), "no value of a field is in a span"
