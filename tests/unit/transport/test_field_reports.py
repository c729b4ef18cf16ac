"""Field reports become incidents while they are ours, and are answered when those are cleared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.administration import v1 as administration
from lienthong.transport import v1
from mesh.errors import FailedPrecondition, NotFound, Unavailable
from tests.unit.transport.happenings import REPORT, routed
from tests.unit.transport.roads import Roads, Told, at, life, new_roads

OURS, OTHERS = administration.SECTOR_TRANSPORT, administration.SECTOR_ENVIRONMENT


def lasting(roads: Roads) -> list[v1.Incident]:
    return list(roads.call("list_incidents", state=v1.INCIDENT_STATE_REPORTED).incidents)


@pytest.mark.parametrize(
    ("category", "cause"),
    [
        (administration.REPORT_CATEGORY_ROAD_DAMAGE, v1.CAUSE_MAINTENANCE),
        (administration.REPORT_CATEGORY_ROAD_BLOCKED, v1.CAUSE_OTHER),
        (administration.REPORT_CATEGORY_TRAFFIC_LIGHT, v1.CAUSE_TECHNICAL_PROBLEM),
        (administration.REPORT_CATEGORY_FLOODED_STREET, v1.CAUSE_WEATHER),
        (administration.REPORT_CATEGORY_NOISE, v1.CAUSE_OTHER),
    ],
)
def test_a_report_that_comes_to_us_becomes_an_incident_of_its_kind(roads: Roads, category: int, cause: int) -> None:
    roads.hear(*life(routed(category=category)))

    [incident] = lasting(roads)
    assert (incident.cause, incident.effect, incident.field_report_id) == (cause, v1.EFFECT_NO_EFFECT, REPORT)
    assert (incident.reported_at, incident.location.latitude) == (at(2), 15.88)
    assert [said.incident_id for said in roads.said(v1.IncidentReported)] == [incident.id]


def test_a_report_of_another_sector_is_none_of_ours(roads: Roads) -> None:
    roads.hear(*life(routed(OTHERS)))

    assert lasting(roads) == []
    assert roads.emitted.messages == []


def test_a_report_that_is_routed_away_takes_its_incident_with_it_unanswered(roads: Roads) -> None:
    roads.hear(*life(routed(OURS), routed(OTHERS)))

    assert lasting(roads) == []
    [cleared] = roads.said(v1.IncidentCleared)
    assert cleared.field_report_id == ""


def test_a_report_that_comes_back_is_another_incident(roads: Roads) -> None:
    """Cleared is final."""
    roads.hear(*life(routed(OURS), routed(OTHERS), routed(OURS)))

    first, second = (said.incident_id for said in roads.said(v1.IncidentReported))
    assert first != second
    assert [incident.id for incident in lasting(roads)] == [second]


def test_a_report_that_is_routed_away_after_its_incident_was_cleared_changes_nothing(roads: Roads) -> None:
    ours, others = life(routed(OURS), routed(OTHERS))
    roads.hear(ours)
    [incident] = lasting(roads)
    roads.call("clear_incident", incident_id=incident.id)

    roads.hear(others)

    assert len(roads.said(v1.IncidentCleared)) == 1


@given(st.lists(st.sampled_from([OURS, OTHERS]), min_size=1, max_size=5), st.data())
def test_the_last_routing_decides_in_whatever_order_and_how_often_they_come(
    sectors: list[int], data: st.DataObject
) -> None:
    """Which incident lasts is the same, and there is never more than one."""
    events = life(*map(routed, sectors))
    again = data.draw(st.lists(st.sampled_from(events)))
    in_order, shuffled = new_roads(), new_roads()

    in_order.hear(*events)
    shuffled.hear(*data.draw(st.permutations(events + again)))

    assert [one.id for one in lasting(shuffled)] == [one.id for one in lasting(in_order)]
    assert len(lasting(in_order)) == (sectors[-1] == OURS)


class TestAClearedIncident:
    """Answers the field report it follows."""

    @pytest.fixture
    def cleared(self, roads: Roads) -> v1.IncidentCleared:
        roads.hear(*life(routed()))
        [incident] = lasting(roads)
        roads.call("clear_incident", incident_id=incident.id, resolution="Đã vá ổ gà.")
        [said] = roads.said(v1.IncidentCleared)
        return said

    def test_answers_with_what_was_done(self, roads: Roads, cleared: v1.IncidentCleared) -> None:
        roads.hear(Told(cleared, 2))

        [answer] = roads.administration.answers
        assert (answer.report_id, answer.sector, answer.answer) == (REPORT, OURS, "Đã vá ổ gà.")

    def test_without_a_word_of_what_was_done_has_a_standard_answer_for_its_cause(
        self, roads: Roads, cleared: v1.IncidentCleared
    ) -> None:
        cleared.resolution = ""

        roads.hear(Told(cleared, 2))

        assert "mặt đường" in roads.administration.answers[0].answer

    @pytest.mark.parametrize("refusal", [FailedPrecondition("answered"), NotFound("field report", REPORT)], ids=str)
    def test_has_nothing_left_to_do_when_the_report_is_not_ours_to_answer(
        self, roads: Roads, cleared: v1.IncidentCleared, refusal: Exception
    ) -> None:
        roads.administration.refusal = refusal

        roads.hear(Told(cleared, 2))

    def test_is_heard_again_when_nobody_can_be_asked(self, roads: Roads, cleared: v1.IncidentCleared) -> None:
        roads.administration.refusal = Unavailable("away")

        with pytest.raises(Unavailable):
            roads.hear(Told(cleared, 2))
