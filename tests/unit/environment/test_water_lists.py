"""Pages of stages and flood alarms."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lienthong.environment.v1 import (
    FLOOD_LEVEL_II,
    FLOOD_LEVEL_III,
    STAGE_FLAG_JUMP,
    ListFloodAlarmsRequest,
    ListStagesRequest,
)
from mesh.errors import InvalidArgument, NotFound
from tests.unit.environment.river import MIDNIGHT, STATION, River, stage


def test_stages_come_oldest_first_and_by_page(river: River):
    river.record(*(stage(hour, 5 + hour / 10) for hour in (3, 1, 0, 4, 2)))

    found, token = [], ""
    while token or not found:
        page = river.service.list_stages(ListStagesRequest(station_id=STATION, page_size=2, page_token=token))
        found += [kept.stage.stage_m for kept in page.stages]
        token = page.next_page_token

    assert found == [5.0, 5.1, 5.2, 5.3, 5.4]


def test_stages_are_bounded_by_when_they_were_observed(river: River):
    river.hourly(5, 5.1, 5.2, 5.3)

    found = river.stages(**{"from": MIDNIGHT + timedelta(hours=1), "until": MIDNIGHT + timedelta(hours=3)})

    assert [kept.stage.stage_m for kept in found] == [5.1, 5.2]


def test_stages_can_be_those_with_a_flag(river: River):
    river.hourly(5, 12, 5.1)

    assert [kept.stage.stage_m for kept in river.stages(flag=STAGE_FLAG_JUMP)] == [12]


@pytest.mark.parametrize("token", ["x", "1e3", "9" * 30])
def test_a_page_token_nobody_gave_is_refused(river: River, token: str):
    with pytest.raises(InvalidArgument):
        river.stages(page_token=token)


def test_stages_of_an_unregistered_station_are_not_found(river: River):
    with pytest.raises(NotFound):
        river.service.list_stages(ListStagesRequest(station_id="nowhere"))


def test_an_alarm_that_ended_is_listed_and_one_that_never_was_is_not(river: River):
    river.register("quiet")
    river.hourly(6.6, 8.2, 6.2, 6.1)
    river.record(stage(0, 3, "quiet"))

    (alarm,) = river.alarms()

    assert (alarm.station_id, alarm.level, alarm.highest_level, alarm.stage_m) == (STATION, 0, FLOOD_LEVEL_II, 6.2)
    assert alarm.raised_at.seconds == int(MIDNIGHT.timestamp())
    assert alarm.changed_at == alarm.lifted_at
    assert alarm.latest.stage_m == 6.1


def test_alarms_can_be_those_that_stand_at_a_level_or_above(river: River):
    for number, metres in enumerate([5, 6.6, 8.2, 9.4]):
        river.register(f"s{number}")
        river.record(stage(0, metres, f"s{number}"))

    assert [alarm.station_id for alarm in river.alarms(at_least=FLOOD_LEVEL_II)] == ["s2", "s3"]
    assert [alarm.level for alarm in river.alarms(at_least=FLOOD_LEVEL_III)] == [FLOOD_LEVEL_III]
    assert not river.alarms(at_least=FLOOD_LEVEL_III)[0].HasField("lifted_at")


def test_alarms_come_by_page(river: River):
    for name in "cab":
        river.register(name)
        river.record(stage(0, 7, name))

    first = river.service.list_flood_alarms(ListFloodAlarmsRequest(page_size=2))
    second = river.service.list_flood_alarms(ListFloodAlarmsRequest(page_size=2, page_token=first.next_page_token))

    assert [alarm.station_id for alarm in (*first.alarms, *second.alarms)] == ["a", "b", "c"]
    assert second.next_page_token == ""
