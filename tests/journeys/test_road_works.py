"""Road works in Đà Nẵng: a permit restricts its road and tightens the air station beside it, until it is cancelled."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.administration.v1 import (
    PERMIT_KIND_ROAD_WORKS,
    PERMIT_STATE_APPLIED,
    PERMIT_STATE_CANCELLED,
    PERMIT_STATE_GRANTED,
    ApplyForPermitRequest,
    CancelPermitRequest,
    GetPermitRequest,
    GrantPermitRequest,
)
from lienthong.environment.v1 import (
    BAND_MODERATE,
    DUST_WATCH_STATE_ENDED,
    DUST_WATCH_STATE_STANDING,
    CloseHoursRequest,
    Concentrations,
    ListDustWatchesRequest,
    Location,
    Reading,
    RecordReadingsRequest,
    RegisterStationRequest,
    Station,
)
from lienthong.transport.v1 import CAUSE_CONSTRUCTION, EFFECT_REDUCED_SERVICE, RESTRICTION_STATE_IMPOSED
from tests.journeys.city import followed
from tests.journeys.otlp import CLIENT, SERVER, ancestors, called, reacted, traced, way_back
from tests.journeys.roads import east_of, segment

NEAR = Station(id="hai-chau", name="Hải Châu", location=Location(latitude=16.07, longitude=108.22))
WORKS = segment("bach-dang", east_of(NEAR, 200))
_far = east_of(NEAR, 3200)
FAR = Station(id="son-tra", name="Sơn Trà", location=Location(latitude=_far.latitude, longitude=_far.longitude))
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
DUSTY_UG_M3, CLEAN_UG_M3 = 45.0, 5.0
"""PM2.5 of VN_AQI 90, which is above 75 and below 100, and of VN_AQI 10."""
TRACE_OF_GRANT, TRACE_OF_DUST = "6bf92f3577b34da6a3ce929d0e0e4736", "6bf92f3577b34da6a3ce929d0e0e4737"
TRACE_OF_END = "6bf92f3577b34da6a3ce929d0e0e4738"
SEGMENTS_ASKED = "lienthong.transport.v1.TransportService/GetRoadSegments"


def at(hours):
    """A time, in hours from the beginning of this one."""
    time = Timestamp()
    time.FromDatetime(HOUR + timedelta(hours=hours))
    return time


async def apply(city, *segment_ids):
    """Applies for works that began twelve hours ago and end tomorrow."""
    request = ApplyForPermitRequest(
        request_id=f"works on {segment_ids}",
        kind=PERMIT_KIND_ROAD_WORKS,
        title="Sửa cống đường Bạch Đằng",
        segment_ids=segment_ids,
        until=at(24),
        applicant_ref="builder-7",
        **{"from": at(-12)},
    )
    return (await city.call(city.administration.ApplyForPermit, request)).permit


async def grant(city, permit, *metadata):
    request = GrantPermitRequest(request_id=f"grant {permit.id}", permit_id=permit.id)
    return (await city.call(city.administration.GrantPermit, request, *metadata)).permit


async def record(city, hour, pm25_ug_m3, *metadata):
    """Records the same air at both stations, three readings of one hour."""
    readings = [
        Reading(
            station_id=station.id,
            observed_at=HOUR + timedelta(hours=hour, minutes=minute),
            concentrations=Concentrations(pm25_ug_m3=pm25_ug_m3),
        )
        for station in (NEAR, FAR)
        for minute in (5, 25, 45)
    ]
    request = RecordReadingsRequest(request_id=f"hour {hour}", readings=readings)
    await city.call(city.environment.RecordReadings, request, *metadata)


async def dust_watches(city):
    return list((await city.call(city.environment.ListDustWatches, ListDustWatchesRequest())).dust_watches)


@pytest.fixture
async def country(start):
    """Đà Nẵng with the road that is to be dug up, an air station 200 m from it and one 3 km away."""
    country = await start("da-nang")
    da_nang = country["da-nang"]
    for station in (NEAR, FAR):
        request = RegisterStationRequest(request_id=station.id, station=station)
        await da_nang.call(da_nang.environment.RegisterStation, request)
    await da_nang.put_segments(WORKS)
    return country


async def test_road_works_are_restricted_and_watched_for_dust_until_their_permit_is_cancelled(country, receiver):
    """Air that worries nobody else raises an alert beside the works; cancelling the permit undoes all of it."""
    da_nang = country["da-nang"]

    permit = await grant(da_nang, await apply(da_nang, WORKS.id), traced(TRACE_OF_GRANT))
    await country.settles()

    assert permit.state == PERMIT_STATE_GRANTED
    [restriction] = await da_nang.restrictions(RESTRICTION_STATE_IMPOSED)
    assert (restriction.cause, restriction.effect) == (CAUSE_CONSTRUCTION, EFFECT_REDUCED_SERVICE)
    assert [affected.id for affected in restriction.segments] == [WORKS.id]
    assert (getattr(restriction, "from"), restriction.until) == (at(-12), at(24))
    [watch] = await dust_watches(da_nang)
    assert (watch.id, watch.state, watch.alert_index) == (restriction.id, DUST_WATCH_STATE_STANDING, 75)
    assert list(watch.station_ids) == [NEAR.id], "the other is 3 km away"
    await _assert_the_grant_is_one_trace(receiver)

    for hour in (-8, -7):
        await record(da_nang, hour, DUSTY_UG_M3)
    await record(da_nang, -6, CLEAN_UG_M3, traced(TRACE_OF_DUST))  # closes the second dusty hour
    await country.settles()

    [alert] = (await da_nang.logged("environment"))["AirQualityAlertRaised"]
    assert (alert.station_id, alert.index, alert.band, alert.alert_index) == (NEAR.id, 90, BAND_MODERATE, 75)
    assert len(await da_nang.restrictions(RESTRICTION_STATE_IMPOSED)) == 1, "no lorry is kept out of moderate air"
    dust = [*reacted("da-nang"), *called("da-nang")]
    await way_back(receiver, TRACE_OF_DUST, "da-nang", "health.air_quality_alert.any", dust)

    await record(da_nang, -5, CLEAN_UG_M3)
    await da_nang.call(da_nang.environment.CloseHours, CloseHoursRequest(request_id="end"))
    request = CancelPermitRequest(request_id="cancel", permit_id=permit.id)
    await da_nang.call(da_nang.administration.CancelPermit, request, traced(TRACE_OF_END))
    await country.settles()

    [watch] = await dust_watches(da_nang)
    assert watch.state == DUST_WATCH_STATE_ENDED
    assert watch.until.ToDatetime(UTC) <= datetime.now(UTC), "it ended before its time"
    assert await da_nang.restrictions(RESTRICTION_STATE_IMPOSED) == []
    await _assert_each_effect_follows_its_cause_once(da_nang, permit)
    await way_back(receiver, TRACE_OF_END, "da-nang", *_to_the_dust_watch())


async def test_works_on_a_road_nobody_knows_are_not_granted_and_nobody_hears_of_them(country):
    """Administration asks transport, names what is missing, and the application stays as it was."""
    da_nang = country["da-nang"]
    permit = await apply(da_nang, WORKS.id, "no-such-road")

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await grant(da_nang, permit)

    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "no-such-road" in refused.value.details()
    assert WORKS.id not in refused.value.details()
    await country.settles()
    kept = await da_nang.call(da_nang.administration.GetPermit, GetPermitRequest(permit_id=permit.id))
    assert kept.permit.state == PERMIT_STATE_APPLIED
    assert await da_nang.log("administration") == await da_nang.log("transport") == []
    assert await dust_watches(da_nang) == []


async def _assert_each_effect_follows_its_cause_once(da_nang, permit):
    permits = [event for event in await da_nang.log("administration") if event.name.startswith("Permit")]
    restrictions = await da_nang.log("transport")
    [watch] = await dust_watches(da_nang)

    assert [event.name for event in permits] == ["PermitGranted", "PermitCancelled"]
    assert followed(restrictions, permits) == [
        ("PermitGranted", "RoadRestrictionImposed"),
        ("PermitCancelled", "RoadRestrictionLifted"),
    ]
    assert watch.causation_id == restrictions[-1].id
    cancelled = await da_nang.call(da_nang.administration.GetPermit, GetPermitRequest(permit_id=permit.id))
    assert cancelled.permit.state == PERMIT_STATE_CANCELLED
    counts = await da_nang.counts("environment")
    assert (counts["AirQualityAlertRaised"], counts["AirQualityAlertLifted"]) == (1, 1)


def _to_the_dust_watch():
    """The last effect of a permit, and its way back: environment heard transport, which heard administration."""
    hops = [*reacted("da-nang"), *reacted("da-nang"), *called("da-nang")]
    return "environment.road_restriction.local", hops


async def _assert_the_grant_is_one_trace(receiver):
    """The dust watch leads back to the grant, and so does the question that administration had for transport."""
    way = await way_back(receiver, TRACE_OF_GRANT, "da-nang", *_to_the_dust_watch())
    assert way[-1].name == "lienthong.administration.v1.AdministrationService/GrantPermit"
    assert way[2].attributes["messaging.consumer.group.name"] == "transport.permit.local"

    spans = receiver.trace(TRACE_OF_GRANT)
    [answered] = [span for span in spans if span.name == SEGMENTS_ASKED and span.kind == SERVER]
    asked, *before = ancestors(answered, spans)
    assert (asked.kind, asked.name) == (CLIENT, SEGMENTS_ASKED)
    assert way[-1] in before
