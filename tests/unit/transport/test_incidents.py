"""Incidents: reported, changed, cleared, and what nobody but who asks for one may read of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lienthong.transport import v1
from mesh.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from tests.unit.transport.roads import GAUGE, Roads, at

SECRET = "Nguyễn Văn A, 0905 000 000"


def said(**given: Any) -> dict[str, Any]:
    return {
        "cause": v1.CAUSE_ACCIDENT,
        "effect": v1.EFFECT_REDUCED_SERVICE,
        "severity": v1.SEVERITY_WARNING,
        "location": v1.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude),
        "segment_ids": ["low"],
        **given,
    }


def report(roads: Roads, **given: Any) -> v1.Incident:
    return roads.call("report_incident", **said(**given)).incident


def get(roads: Roads, id: str) -> v1.Incident:
    return roads.call("get_incident", incident_id=id).incident


def test_a_reported_incident_lasts_and_is_told(roads: Roads) -> None:
    incident = report(roads, segment_ids=["low", "high", "low"], field_report_id="report-1")

    assert incident.state == v1.INCIDENT_STATE_REPORTED
    assert list(incident.segment_ids) == ["high", "low"]
    assert (incident.reported_at, incident.changed_at) == (at(12), at(12))
    [event] = roads.said(v1.IncidentReported)
    assert (event.incident_id, event.field_report_id, event.reported_at) == (incident.id, "report-1", at(12))
    assert (event.effect, list(event.segment_ids)) == (v1.EFFECT_REDUCED_SERVICE, ["high", "low"])


def test_the_description_stays_with_who_asks_for_the_incident(roads: Roads) -> None:
    """It may name persons: no event and no list has it."""
    incident = report(roads, description=SECRET)

    assert get(roads, incident.id).description == SECRET
    assert [one.description for one in roads.call("list_incidents").incidents] == [""]
    assert not any(SECRET in str(message) for message in roads.emitted.messages)


def test_an_incident_whose_severity_is_not_said_has_an_unknown_one(roads: Roads) -> None:
    assert report(roads, severity=0).severity == v1.SEVERITY_UNKNOWN


def test_an_incident_with_an_effect_needs_segments(roads: Roads) -> None:
    with pytest.raises(InvalidArgument, match="segment_ids"):
        report(roads, segment_ids=[])

    assert report(roads, segment_ids=[], effect=v1.EFFECT_NO_EFFECT).state == v1.INCIDENT_STATE_REPORTED


def test_an_incident_on_a_segment_that_does_not_exist_is_not_kept(roads: Roads) -> None:
    with pytest.raises(NotFound) as refused:
        report(roads, segment_ids=["low", "nowhere"])

    assert refused.value.resource_id == "nowhere"
    assert roads.emitted.messages == []


def test_an_id_that_was_used_is_refused(roads: Roads) -> None:
    report(roads, request_id="mine")

    with pytest.raises(AlreadyExists):
        report(roads, request_id="mine")


def test_a_changed_incident_is_told_whole(roads: Roads) -> None:
    incident = report(roads, field_report_id="report-1", description=SECRET)
    roads.clock.advance(timedelta(hours=1))

    changed = roads.call("update_incident", incident_id=incident.id, **said(effect=v1.EFFECT_NO_SERVICE)).incident

    assert (changed.effect, changed.description, changed.field_report_id) == (v1.EFFECT_NO_SERVICE, "", "report-1")
    assert (changed.reported_at, changed.changed_at) == (at(12), at(13))
    [event] = roads.said(v1.IncidentChanged)
    assert (event.effect, event.changed_at, event.field_report_id) == (v1.EFFECT_NO_SERVICE, at(13), "report-1")


def test_a_change_nobody_else_can_see_is_not_told(roads: Roads) -> None:
    incident = report(roads)

    roads.call("update_incident", incident_id=incident.id, **said(description=SECRET))

    assert get(roads, incident.id).description == SECRET
    assert roads.said(v1.IncidentChanged) == []


def test_a_cleared_incident_is_over_for_good(roads: Roads) -> None:
    incident = report(roads, field_report_id="report-1")

    cleared = roads.call("clear_incident", incident_id=incident.id, resolution="Đã kéo xe đi.").incident

    assert (cleared.state, cleared.cleared_at) == (v1.INCIDENT_STATE_CLEARED, at(12))
    [event] = roads.said(v1.IncidentCleared)
    assert (event.resolution, event.field_report_id) == ("Đã kéo xe đi.", "report-1")
    for verb, fields in (("clear_incident", {}), ("update_incident", said())):
        with pytest.raises(FailedPrecondition) as refused:
            roads.call(verb, incident_id=incident.id, **fields)
        assert refused.value.allowed == ("REPORTED",)


@pytest.mark.parametrize(
    ("verb", "fields"), [("get_incident", {}), ("clear_incident", {}), ("update_incident", said())]
)
def test_an_incident_there_never_was_is_not_found(roads: Roads, verb: str, fields: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        roads.call(verb, incident_id="none", **fields)


def test_lists_go_by_page_state_segment_and_cause(roads: Roads) -> None:
    ids = [report(roads).id for _ in range(3)]
    works = report(roads, cause=v1.CAUSE_CONSTRUCTION, segment_ids=["high"]).id
    roads.call("clear_incident", incident_id=ids[0])

    def listed(**request: Any) -> list[str]:
        return [one.id for one in roads.call("list_incidents", **request).incidents]

    first = roads.call("list_incidents", page_size=3)
    second = listed(page_size=3, page_token=first.next_page_token)
    assert [one.id for one in first.incidents] + second == sorted([*ids, works])
    assert listed(state=v1.INCIDENT_STATE_CLEARED) == [ids[0]]
    assert listed(segment_id="low") == sorted(ids)
    assert listed(cause=v1.CAUSE_CONSTRUCTION) == [works]


def test_the_restriction_of_an_incident_goes_the_way_of_its_incident(roads: Roads) -> None:
    incident = report(roads)
    roads.call("update_incident", incident_id=incident.id, **said(effect=v1.EFFECT_NO_SERVICE))
    roads.call("clear_incident", incident_id=incident.id)

    roads.hear_own()

    assert roads.kinds() == ["Imposed", "Changed", "Lifted"]
    [restriction] = roads.restrictions(cause_topic="transport/incident")
    assert (restriction.caused_by.key, restriction.state) == (incident.id, v1.RESTRICTION_STATE_LIFTED)
