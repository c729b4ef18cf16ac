"""No sequence of calls, events and hours takes an incident or a restriction a way its state table does not have."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lienthong.transport import v1
from mesh.errors import MeshError
from services.transport.documents import Incident, Restriction
from tests.unit.transport.happenings import flood_escalated, flood_lifted, flood_raised, permit_changed, permit_granted
from tests.unit.transport.roads import GAUGE, Told, at, new_roads, segment

NOTHING, IMPOSED, LIFTED = 0, v1.RESTRICTION_STATE_IMPOSED, v1.RESTRICTION_STATE_LIFTED
RESTRICTION_MOVES = {(NOTHING, IMPOSED), (NOTHING, LIFTED), (IMPOSED, LIFTED), (LIFTED, IMPOSED)}
"""NOTHING to LIFTED is a permit heard of when it was over."""
INCIDENT_MOVES = {(NOTHING, v1.INCIDENT_STATE_REPORTED), (v1.INCIDENT_STATE_REPORTED, v1.INCIDENT_STATE_CLEARED)}
_SLOTS = st.integers(0, 2)
_EFFECTS = st.sampled_from([v1.EFFECT_NO_SERVICE, v1.EFFECT_DETOUR, v1.EFFECT_NO_EFFECT])
_FLOODS = [flood_raised(1), flood_escalated(3), flood_lifted()]
_PERMITS = [permit_granted("low"), permit_changed("low", until=at(400))]


class Operators(RuleBasedStateMachine):
    """Operators who call whatever they like, while happenings and the clock go on."""

    def __init__(self) -> None:
        super().__init__()
        self.roads = new_roads([segment("low", 100)])
        self.incidents: list[str] = []
        self.restrictions: list[str] = []
        self.states: dict[tuple[str, str], int] = {}
        self.revisions: dict[str, int] = {}

    @rule(effect=_EFFECTS)
    def report(self, effect: int) -> None:
        self.incidents.append(self.roads.call("report_incident", **self._incident(effect)).incident.id)

    @rule(slot=_SLOTS, effect=_EFFECTS)
    def update(self, slot: int, effect: int) -> None:
        self._try("update_incident", incident_id=self._at(self.incidents, slot), **self._incident(effect))

    @rule(slot=_SLOTS)
    def clear(self, slot: int) -> None:
        self._try("clear_incident", incident_id=self._at(self.incidents, slot))

    @rule(effect=_EFFECTS, ends=st.booleans())
    def impose(self, effect: int, ends: bool) -> None:
        until = {"until": self.roads.clock.now() + timedelta(hours=9)} if ends else {}
        request = {"cause": v1.CAUSE_OTHER, "effect": effect, "segment_ids": ["low"], **until}
        self.restrictions.append(self.roads.call("impose_restriction", **request).restriction.id)

    @rule(slot=_SLOTS, effect=_EFFECTS)
    def change(self, slot: int, effect: int) -> None:
        id = self._at(self._known(), slot)
        self._try("change_restriction", restriction_id=id, effect=effect, segment_ids=["low"])

    @rule(slot=_SLOTS)
    def lift(self, slot: int) -> None:
        self._try("lift_restriction", restriction_id=self._at(self._known(), slot))

    @rule(event=st.sampled_from(_FLOODS + _PERMITS), revision=st.integers(1, 9))
    def happen(self, event: Any, revision: int) -> None:
        self.roads.hear(Told(event, revision))

    @rule(hours=st.integers(1, 400))
    def wait(self, hours: int) -> None:
        self.roads.clock.advance(timedelta(hours=hours))
        self.roads.service.lift_over_restrictions()

    @invariant()
    def every_move_is_in_the_table(self) -> None:
        for model, moves in ((Incident, INCIDENT_MOVES), (Restriction, RESTRICTION_MOVES)):
            for document in self.roads.store.find(model):
                before = self.states.get((model.__name__, document.id), NOTHING)
                assert document.state == before or (before, document.state) in moves
                self.states[model.__name__, document.id] = document.state

    @invariant()
    def revisions_only_grow(self) -> None:
        for document in self.roads.store.find(Restriction):
            assert document.revision >= self.revisions.get(document.id, 0)
            self.revisions[document.id] = document.revision

    def _known(self) -> list[str]:
        """What operators may try: also what follows a happening."""
        return [*self.restrictions, *(one.id for one in self.roads.restrictions())]

    def _try(self, verb: str, **request: Any) -> None:
        """A refusal is an answer; a move the table lacks is not."""
        with contextlib.suppress(MeshError):
            self.roads.call(verb, **request)

    @staticmethod
    def _at(ids: list[str], slot: int) -> str:
        return ids[slot % len(ids)] if ids else "none"

    @staticmethod
    def _incident(effect: int) -> dict[str, Any]:
        location = v1.Location(latitude=GAUGE.latitude, longitude=GAUGE.longitude)
        return {"cause": v1.CAUSE_ACCIDENT, "effect": effect, "location": location, "segment_ids": ["low"]}


TestOperators = Operators.TestCase
TestOperators.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
