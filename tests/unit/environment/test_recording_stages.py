"""What becomes of the rows of a batch of stages, and what an alarm says."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lienthong.environment.v1 import (
    FLOOD_LEVEL_I,
    FLOOD_LEVEL_II,
    FLOOD_LEVEL_III,
    FLOOD_LIFT_REASON_BY_HAND,
    FLOOD_LIFT_REASON_STAGE_BELOW,
    STAGE_FLAG_JUMP,
    STAGE_FLAG_LATE,
    StreamStagesRequest,
)
from mesh.errors import FailedPrecondition, NotFound
from services.environment.documents_water import FloodWatch
from tests.unit.environment.river import MIDNIGHT, STATION, River, new_river, stage

A_FLOOD = (6.0, 7.0, 8.2, 9.1, 8.9, 8.5, 7.5, 6.2)
ITS_CHANGES = [
    ("raised", FLOOD_LEVEL_I),
    ("escalated", FLOOD_LEVEL_II),
    ("escalated", FLOOD_LEVEL_III),
    ("lowered", FLOOD_LEVEL_II),
    ("lowered", FLOOD_LEVEL_I),
    ("lifted", 0),
]


def test_good_rows_are_kept_and_counted(river: River):
    outcome = river.record(stage(0, 5), stage(1, 5.2))

    assert (outcome.rows, outcome.accepted, outcome.duplicate, outcome.flagged) == (2, 2, 0, 0)
    assert [kept.stage.stage_m for kept in river.stages()] == [5, 5.2]


def test_a_stage_of_the_same_station_and_time_is_a_duplicate_whatever_it_says(river: River):
    river.record(stage(0, 5))

    outcome = river.record(stage(0, 9.5), stage(1, 5), stage(1, 9.5))

    assert (outcome.accepted, outcome.duplicate) == (1, 2)
    assert river.changes() == []


def test_bad_rows_are_reported_by_index_and_rule_and_the_others_kept(river: River):
    untimed = stage(3, 5)
    untimed.ClearField("observed_at")

    outcome = river.record(
        stage(0, 5), stage(1, -51), stage(2, 5, "nowhere"), untimed, stage(4, float("nan")), stage(14 * 24 + 0.26, 5)
    )

    assert outcome.accepted == 1
    assert [(row.index, row.field, row.rule) for row in outcome.rejected] == [
        (1, "stage_m", "gte"),
        (2, "station_id", "NOT_FOUND"),
        (3, "observed_at", "required"),
        (4, "stage_m", "finite"),
        (5, "observed_at", "not_in_future"),
    ]


def test_a_batch_of_unregistered_stations_alone_is_refused(river: River):
    with pytest.raises(NotFound):
        river.record(stage(0, 5, "nowhere"), stage(1, 5, "elsewhere"))


def test_a_flood_is_told_from_the_first_level_to_the_last(river: River):
    river.hourly(*A_FLOOD)

    assert river.changes() == ITS_CHANGES


def test_in_one_batch_and_in_any_order_it_is_told_the_same(river: River):
    river.record(*(stage(hour, A_FLOOD[hour]) for hour in (3, 0, 7, 1, 5, 2, 6, 4)))

    assert river.changes() == ITS_CHANGES


def test_a_jump_amid_a_flood_changes_nothing_of_it(river: River):
    river.record(*(stage(hour, metres) for hour, metres in enumerate(A_FLOOD)), stage(2 + 1 / 3, 12.0))

    assert river.changes() == ITS_CHANGES
    assert [kept.stage.stage_m for kept in river.stages(flag=STAGE_FLAG_JUMP)] == [12.0]


def test_an_event_tells_all_a_reader_needs(river: River):
    river.hourly(6.6, 8.1)

    _, escalated = river.events()
    assert (escalated.station_id, escalated.station_name, escalated.river) == (STATION, "Ái Nghĩa", "Vu Gia")
    assert (escalated.level, escalated.previous_level, escalated.stage_m) == (FLOOD_LEVEL_II, FLOOD_LEVEL_I, 8.1)
    assert escalated.escalated_at.ToDatetime(UTC) == MIDNIGHT + timedelta(hours=1)
    assert (escalated.location.latitude, escalated.reach_m) == (15.88, 5000)


def test_a_lifted_alarm_tells_why(river: River):
    river.hourly(6.6, 6.2)

    _, lifted = river.events()
    assert (lifted.reason, lifted.previous_level) == (FLOOD_LIFT_REASON_STAGE_BELOW, FLOOD_LEVEL_I)
    assert (lifted.stage_m, lifted.river) == (6.2, "Vu Gia")


def test_a_jump_is_flagged_and_raises_nothing(river: River):
    river.record(stage(0, 6))

    outcome = river.record(stage(0.33, 12))
    river.record(stage(1, 6.1))

    assert (outcome.accepted, outcome.flagged) == (1, 1)
    assert [list(kept.flags) for kept in river.stages()] == [[], [STAGE_FLAG_JUMP], []]
    assert river.changes() == []


def test_a_jump_down_lifts_nothing(river: River):
    river.hourly(6.6, 0.3, 6.7)

    assert river.changes() == [("raised", FLOOD_LEVEL_I)]


def test_a_wave_that_stays_is_believed_with_its_third_stage(river: River):
    river.hourly(3, 9.1, 9.2)
    assert river.changes() == []

    river.record(stage(3, 9.3))

    assert river.changes() == [("raised", FLOOD_LEVEL_III)]


def test_a_late_stage_is_kept_and_not_judged(river: River):
    river.record(stage(2, 6))

    outcome = river.record(stage(1, 6.9))

    assert (outcome.accepted, outcome.flagged) == (1, 1)
    assert [list(kept.flags) for kept in river.stages()] == [[STAGE_FLAG_LATE], []]
    assert river.changes() == []


def test_stations_do_not_mind_each_other(river: River):
    river.register("phu-an", level_i_m=1.4, level_ii_m=1.5, level_iii_m=1.6)

    river.record(stage(0, 5), stage(0, 1.5, "phu-an"), stage(1, 6.5))

    assert [(said.station_id, said.level) for said in river.events()] == [("ai-nghia", 1), ("phu-an", 2)]


def test_silence_lifts_nothing(river: River):
    """Its gauge may be under water."""
    river.record(stage(0, 9.1))
    river.city.clock.advance(timedelta(days=30))

    river.service.close_due_hours()

    assert river.changes() == [("raised", FLOOD_LEVEL_III)]


def test_an_operator_lifts_it_and_the_next_stage_raises_it_again(river: River):
    river.record(stage(0, 9.1))

    alarm = river.lift()
    river.record(stage(1, 9.2))

    raised, lifted, again = river.events()
    assert alarm.level == 0
    assert alarm.lifted_at.ToDatetime(UTC) == river.city.clock.now()
    assert (lifted.reason, lifted.previous_level) == (FLOOD_LIFT_REASON_BY_HAND, FLOOD_LEVEL_III)
    assert not lifted.HasField("stage_m")
    assert raised.level == again.level == FLOOD_LEVEL_III


def test_only_an_alarm_that_stands_can_be_lifted(river: River):
    with pytest.raises(FailedPrecondition) as never_reported:
        river.lift()
    river.hourly(6.6, 6.0)
    with pytest.raises(FailedPrecondition):
        river.lift()
    with pytest.raises(NotFound):
        river.lift("nowhere")

    assert "FLOOD_LEVEL_I" in never_reported.value.allowed


def test_new_levels_judge_the_next_stage(river: River):
    river.record(stage(0, 6.6))
    river.register(level_i_m=6.9)
    assert river.changes() == [("raised", FLOOD_LEVEL_I)]

    river.record(stage(1, 6.6))

    assert river.changes() == [("raised", FLOOD_LEVEL_I), ("lifted", 0)]


def test_stages_of_a_stream_are_recorded_as_those_of_a_call(river: River):
    answer = river.service.stream_stages(StreamStagesRequest(request_id="one", stages=[stage(0, 7)]))

    assert (answer.request_id, answer.outcome.accepted) == ("one", 1)
    assert river.changes() == [("raised", FLOOD_LEVEL_I)]


moments = st.tuples(st.integers(0, 96), st.sampled_from([3.0, 6.2, 6.4, 6.6, 7.9, 8.1, 8.9, 9.1, 12.0]))
calls = st.lists(moments.map(lambda row: stage(row[0] / 4, row[1])) | st.just("lift"), max_size=40)


@settings(max_examples=150, deadline=None)
@given(calls)
def test_the_last_event_always_tells_the_level_that_stands(told: list):
    river = new_river()
    river.register()

    for call in told:
        standing = river.alarms(at_least=FLOOD_LEVEL_I)
        if call != "lift":
            river.record(call)
        elif standing:
            river.lift()
        watch = river.city.store.get(FloodWatch, STATION)
        last = river.changes()[-1:] or [("", 0)]
        assert (watch.level if watch else 0) == last[0][1]
    previous = 0
    for said, (_, level) in zip(river.events(), river.changes(), strict=True):
        assert said.previous_level == previous
        previous = level
