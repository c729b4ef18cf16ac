"""A flood at Ái Nghĩa: roads close and notices follow its levels in Đà Nẵng and Huế, until the water has fallen."""

from datetime import UTC, datetime, timedelta

from lienthong.administration.v1 import NOTICE_SEVERITY_SEVERE, NOTICE_STATE_PUBLISHED
from lienthong.environment.v1 import (
    FLOOD_LEVEL_I,
    FLOOD_LEVEL_II,
    FLOOD_LEVEL_III,
    STAGE_FLAG_JUMP,
    GetWaterStationRequest,
    ListFloodAlarmsRequest,
    ListStagesRequest,
    ListWaterStationsRequest,
    RecordStagesRequest,
    Stage,
)
from lienthong.exchange.v1 import GetAgreementRequest
from lienthong.transport.v1 import (
    EFFECT_NO_SERVICE,
    EFFECT_SIGNIFICANT_DELAYS,
    RESTRICTION_STATE_IMPOSED,
    SEVERITY_SEVERE,
    SEVERITY_WARNING,
)
from tests.hosts import eventually
from tests.journeys.city import followed
from tests.journeys.otlp import called, crossed, reacted, traced, way_back
from tests.journeys.roads import east_of, segment

AI_NGHIA = "ai-nghia"
RISES = [(0, 6.0), (60, 7.0), (120, 8.2), (140, 12.0)]
"""Minutes and metres; levels are 6.5, 8.0 and 9.0 m. The last is a stick under the gauge."""
PASSES_III = (180, 9.1)
FALLS = [(240, 8.9), (300, 8.5), (360, 7.5)]
ENDS = (420, 6.2)
FIRST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
TRACE_OF_III, TRACE_OF_END = "5bf92f3577b34da6a3ce929d0e0e4736", "5bf92f3577b34da6a3ce929d0e0e4737"
NOTICES = "administration.flood_alarm.any"


async def record(city, minute, stage_m, *metadata):
    """Records one stage of the journey."""
    stage = Stage(station_id=AI_NGHIA, observed_at=FIRST + timedelta(minutes=minute), stage_m=stage_m)
    request = RecordStagesRequest(request_id=f"minute-{minute}", stages=[stage])
    return (await city.call(city.environment.RecordStages, request, *metadata)).outcome


async def known_station(city):
    """Ái Nghĩa, which the sector registers by itself."""
    await eventually(lambda: registered(city))
    stations = await city.call(city.environment.GetWaterStation, GetWaterStationRequest(station_id=AI_NGHIA))
    return stations.station


async def registered(city):
    """Whether its clock has come to it yet."""
    listed = await city.call(city.environment.ListWaterStations, ListWaterStationsRequest())
    return any(station.id == AI_NGHIA for station in listed.stations)


async def test_a_flood_closes_roads_and_warns_the_neighbour_until_the_water_falls(start, receiver):
    """Eight hours of a flood, and one stage nobody believes: each level is told once, and nothing stands after it."""
    country = await start("da-nang", "hue", agreements=["dn-hue-flood-1"])
    da_nang, hue = country["da-nang"], country["hue"]
    await country.settles()
    station = await known_station(da_nang)
    await da_nang.put_segments(
        segment("low", east_of(station, 800), flood_prone=True),
        segment("dyke", east_of(station, 800)),
        segment("far", east_of(station, 20_000), flood_prone=True),
    )

    outcomes = [await record(da_nang, minute, stage_m) for minute, stage_m in RISES]
    assert [outcome.flagged for outcome in outcomes] == [0, 0, 0, 1]
    await record(da_nang, *PASSES_III, traced(TRACE_OF_III))
    await country.settles()

    alarms = await da_nang.log("environment")
    [restriction] = await da_nang.restrictions(RESTRICTION_STATE_IMPOSED)
    assert (restriction.effect, restriction.severity) == (EFFECT_NO_SERVICE, SEVERITY_SEVERE)
    assert [affected.id for affected in restriction.segments] == ["low"], "the dyke is high, the other 20 km away"
    [here], [there] = await da_nang.notices(NOTICE_STATE_PUBLISHED), await hue.notices(NOTICE_STATE_PUBLISHED)
    assert {restriction.caused_by.event_id, here.causation_id, there.causation_id} == {alarms[-1].id}
    assert alarms[-1].message.level == FLOOD_LEVEL_III
    assert here.severity == there.severity == NOTICE_SEVERITY_SEVERE
    assert (there.happening.origin, there.happening.key) == ("da-nang", AI_NGHIA)
    assert there.headline.startswith("Ái Nghĩa (sông Vu Gia), Đà Nẵng")
    await _assert_one_trace(receiver, TRACE_OF_III)

    for minute, stage_m in FALLS:
        await record(da_nang, minute, stage_m)
    await record(da_nang, *ENDS, traced(TRACE_OF_END))
    await country.settles()

    for city in (da_nang, hue):
        assert await city.restrictions(RESTRICTION_STATE_IMPOSED) == []
        assert await city.notices(NOTICE_STATE_PUBLISHED) == []
    standing = ListFloodAlarmsRequest(at_least=FLOOD_LEVEL_I)
    assert not (await da_nang.call(da_nang.environment.ListFloodAlarms, standing)).alarms
    await _assert_each_effect_follows_its_cause_once(da_nang, hue)
    await _assert_the_jump_was_kept_and_did_nothing(da_nang)
    await _assert_one_trace(receiver, TRACE_OF_END)


async def _assert_each_effect_follows_its_cause_once(da_nang, hue):
    alarms = await da_nang.log("environment")
    levels = [(event.name, getattr(event.message, "level", 0)) for event in alarms]

    assert levels == [
        ("FloodAlarmRaised", FLOOD_LEVEL_I),
        ("FloodAlarmEscalated", FLOOD_LEVEL_II),
        ("FloodAlarmEscalated", FLOOD_LEVEL_III),
        ("FloodAlarmLowered", FLOOD_LEVEL_II),
        ("FloodAlarmLowered", FLOOD_LEVEL_I),
        ("FloodAlarmLifted", 0),
    ]
    restrictions = await da_nang.log("transport")
    assert followed(restrictions, alarms) == [
        ("FloodAlarmRaised", "RoadRestrictionImposed"),
        ("FloodAlarmEscalated", "RoadRestrictionChanged"),
        ("FloodAlarmLowered", "RoadRestrictionChanged"),
        ("FloodAlarmLifted", "RoadRestrictionLifted"),
    ]
    assert [(event.message.effect, event.message.severity) for event in restrictions[:3]] == [
        (EFFECT_SIGNIFICANT_DELAYS, SEVERITY_WARNING),
        (EFFECT_NO_SERVICE, SEVERITY_SEVERE),
        (EFFECT_SIGNIFICANT_DELAYS, SEVERITY_WARNING),
    ], "I and II warn alike, so only III is a change, and its end"
    told = [
        ("FloodAlarmRaised", "NoticePublished"),
        ("FloodAlarmEscalated", "NoticeUpdated"),
        ("FloodAlarmEscalated", "NoticeUpdated"),
        ("FloodAlarmLowered", "NoticeUpdated"),
        ("FloodAlarmLowered", "NoticeUpdated"),
        ("FloodAlarmLifted", "NoticeWithdrawn"),
    ]
    for city in (da_nang, hue):
        notices = await city.log("administration")
        assert followed(notices, alarms) == told
        assert [event.cause for event in notices] == [alarm.id for alarm in alarms], "in the order of the alarms"
    assert await hue.log("transport") == []
    request = GetAgreementRequest(agreement_id="dn-hue-flood-1")
    agreement = (await da_nang.call(da_nang.exchange.GetAgreement, request)).agreement
    assert agreement.carried == len(alarms) == 6


async def _assert_the_jump_was_kept_and_did_nothing(da_nang):
    request = ListStagesRequest(station_id=AI_NGHIA, flag=STAGE_FLAG_JUMP)
    [jump] = (await da_nang.call(da_nang.environment.ListStages, request)).stages

    assert jump.stage.stage_m == 12.0


async def _assert_one_trace(receiver, trace):
    """From every effect back to the stage that caused it, in both localities."""
    here = [*reacted("da-nang"), *called("da-nang")]
    for subscription in ("transport.flood_alarm.local", NOTICES):
        way = await way_back(receiver, trace, "da-nang", subscription, here)
        assert way[-1].name == "lienthong.environment.v1.EnvironmentService/RecordStages"

    border = [*reacted("hue"), *crossed("da-nang", "hue"), *called("da-nang")]
    way = await way_back(receiver, trace, "hue", NOTICES, border)
    assert {span.attributes.get("lienthong.agreement") for span in way[2:4]} == {"dn-hue-flood-1"}
