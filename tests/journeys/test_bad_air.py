"""Bad air in Hà Nội: advice, fewer lorries and a notice there, advice in Quảng Ninh; all undone when it clears."""

from datetime import UTC, datetime, timedelta

from lienthong.administration.v1 import NOTICE_STATE_PUBLISHED
from lienthong.environment.v1 import (
    BAND_BAD,
    CloseHoursRequest,
    Concentrations,
    Location,
    Reading,
    RecordReadingsRequest,
    RegisterStationRequest,
    Station,
)
from lienthong.health.v1 import ADVISORY_STATE_ISSUED
from lienthong.transport.v1 import EFFECT_REDUCED_SERVICE, RESTRICTION_STATE_IMPOSED, VEHICLE_CLASS_HEAVY_TRUCK
from tests.hosts import eventually
from tests.journeys.city import followed
from tests.journeys.otlp import called, committed, crossed, reacted, traced, way_back
from tests.journeys.roads import east_of, segment

STATION = Station(id="hang-dau", name="Hàng Đậu", location=Location(latitude=21.04, longitude=105.85))
TRACE_OF_ALERT, TRACE_OF_END = "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4737"
ADVICE = "health.air_quality_alert.any"
FIRST_HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=20)


async def record(city, hour, pm25_ug_m3, *metadata):
    """Records three readings of one hour, counted from the first one of the journey."""
    readings = [
        Reading(
            station_id=STATION.id,
            observed_at=FIRST_HOUR + timedelta(hours=hour, minutes=minute),
            concentrations=Concentrations(pm25_ug_m3=pm25_ug_m3),
        )
        for minute in (5, 25, 45)
    ]
    request = RecordReadingsRequest(request_id=f"hour-{hour}", readings=readings)
    return await city.call(city.environment.RecordReadings, request, *metadata)


async def test_bad_air_in_ha_noi_is_acted_on_by_all_it_concerns_and_undone(start, receiver):
    """Two bad hours raise an alert; ten good ones lift it; each effect is there once, and ends with its cause."""
    country = await start("ha-noi", "quang-ninh", agreements=["hn-qn-air-1", "qn-hn-air-1"])
    ha_noi, quang_ninh = country["ha-noi"], country["quang-ninh"]
    request = RegisterStationRequest(request_id="station", station=STATION)
    await ha_noi.call(ha_noi.environment.RegisterStation, request)
    await ha_noi.put_segments(
        segment("phan-dinh-phung", east_of(STATION, 800)), segment("vo-nguyen-giap", east_of(STATION, 10_000))
    )
    for hour in (0, 1):
        await record(ha_noi, hour, 200.0)

    await record(ha_noi, 2, 5.0, traced(TRACE_OF_ALERT))  # closes hour 1: the alert is raised

    [advice] = await eventually(lambda: ha_noi.advisories(ADVISORY_STATE_ISSUED))
    [restriction] = await eventually(lambda: ha_noi.restrictions(RESTRICTION_STATE_IMPOSED))
    [notice] = await eventually(lambda: ha_noi.notices(NOTICE_STATE_PUBLISHED))
    [shared] = await eventually(lambda: quang_ninh.advisories(ADVISORY_STATE_ISSUED))
    [alert] = [event for event in await ha_noi.log("environment") if event.name == "AirQualityAlertRaised"]
    assert alert.message.band >= BAND_BAD
    assert {advice.causation_id, restriction.caused_by.event_id, notice.causation_id} == {alert.id}
    assert shared.causation_id == alert.id, "the one event, under its own id, on both sides of the border"
    assert (shared.origin, shared.station_id, shared.band) == ("ha-noi", STATION.id, alert.message.band)
    assert advice.advice_sensitive == shared.advice_sensitive != ""
    assert restriction.effect == EFFECT_REDUCED_SERVICE
    assert list(restriction.vehicle_classes) == [VEHICLE_CLASS_HEAVY_TRUCK]
    assert [affected.id for affected in restriction.segments] == ["phan-dinh-phung"], "the other is 10 km away"
    assert "Hàng Đậu" in notice.headline
    await _assert_one_trace(receiver, TRACE_OF_ALERT)

    for hour in range(3, 14):
        await record(ha_noi, hour, 5.0, traced(TRACE_OF_END))
    await ha_noi.call(ha_noi.environment.CloseHours, CloseHoursRequest(request_id="end"))
    await country.settles()

    for city in (ha_noi, quang_ninh):
        assert await city.advisories(ADVISORY_STATE_ISSUED) == []
        assert await city.restrictions(RESTRICTION_STATE_IMPOSED) == []
        assert await city.notices(NOTICE_STATE_PUBLISHED) == []
    await _assert_each_effect_follows_its_cause_once(ha_noi, quang_ninh)
    await _assert_one_trace(receiver, TRACE_OF_END)


async def _assert_each_effect_follows_its_cause_once(ha_noi, quang_ninh):
    causes = await ha_noi.log("environment")
    alerts = [event for event in causes if event.name.startswith("AirQualityAlert")]

    assert [event.name for event in alerts] == ["AirQualityAlertRaised", "AirQualityAlertLifted"]
    assert followed(await ha_noi.log("health"), alerts) == [
        ("AirQualityAlertRaised", "HealthAdvisoryIssued"),
        ("AirQualityAlertLifted", "HealthAdvisoryWithdrawn"),
    ]
    assert followed(await ha_noi.log("transport"), alerts) == [
        ("AirQualityAlertRaised", "RoadRestrictionImposed"),
        ("AirQualityAlertLifted", "RoadRestrictionLifted"),
    ]
    assert followed(await ha_noi.log("administration"), alerts) == [
        ("AirQualityAlertRaised", "NoticePublished"),
        ("AirQualityAlertLifted", "NoticeWithdrawn"),
    ]
    assert followed(await quang_ninh.log("health"), alerts) == [
        ("AirQualityAlertRaised", "HealthAdvisoryIssued"),
        ("AirQualityAlertLifted", "HealthAdvisoryWithdrawn"),
    ]
    assert await quang_ninh.log("transport") == await quang_ninh.log("administration") == []


async def _assert_one_trace(receiver, trace):
    """From every effect back to the call, in both localities; no value of a field is in a span."""
    here = [*reacted("ha-noi"), *called("ha-noi")]
    for subscription in (*(f"{sector}.air_quality_alert.local" for sector in ("transport", "administration")), ADVICE):
        way = await way_back(receiver, trace, "ha-noi", subscription, here)
        assert way[-1].name == "lienthong.environment.v1.EnvironmentService/RecordReadings"

    border = [*reacted("quang-ninh"), *crossed("ha-noi", "quang-ninh"), *called("ha-noi")]
    way = await way_back(receiver, trace, "quang-ninh", ADVICE, border)
    assert {span.attributes.get("lienthong.agreement") for span in way[2:4]} == {"hn-qn-air-1"}
    await committed(receiver, trace, {"ha-noi", "quang-ninh"})
    assert STATION.id not in str([span.attributes for span in receiver.trace(trace)])
