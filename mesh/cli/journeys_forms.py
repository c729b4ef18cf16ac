"""Journeys as people write them: what is done where, what must come of it, and what stands then.

`examples/journeys.yaml` shows every key. What the forms cannot judge is judged in `journeys_checks`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from mesh.forms import Form

Text = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Call(Form):
    """One call of one locality's service."""

    at: Text
    """Slug of the locality."""
    call: Text
    """Method, as `environment.RecordStages`."""
    request: dict[str, Any] = {}
    """As JSON; see `journeys_filling` for what it may leave open."""
    keep: dict[Name, Text] = {}
    """Fields of the answer by the names under which later requests use them."""


class Step(Call):
    """A call that is told of, with what must come of it."""

    title: Text
    events: dict[Text, list[Text]] = {}
    """Short names of events by the locality on whose bus they must be seen; one that must come twice is named twice."""
    within_s: Annotated[float, Field(gt=0, le=600, strict=False)] = 20.0
    """Longest time for all of it."""
    stands: dict[Text, Annotated[int, Field(ge=0)]] = {}
    """How many rows each of these views has then, in each of its localities."""


class View(Form):
    """A list that shows what stands, in one or several localities."""

    at: Annotated[list[Text], Field(min_length=1), BeforeValidator(lambda at: [at] if isinstance(at, str) else at)]
    """Slugs of the localities; one may be written without brackets."""
    call: Text
    """Method that lists, as `transport.ListRestrictions`."""
    request: dict[str, Any] = {}
    where: dict[Text, str] = {}
    """Only rows in which these fields have these values."""
    show: Annotated[list[Text], Field(min_length=1)]
    """Fields that are shown, as `segments.name`."""


class Journey(Form):
    """A story across sectors and localities."""

    title: Text
    prepare: list[Call] = []
    """Made first, and not told of."""
    views: dict[Text, View] = {}
    steps: Annotated[list[Step], Field(min_length=1)]

    @property
    def localities(self) -> set[str]:
        """Slugs of all that take part."""
        seen = {slug for step in self.steps for slug in step.events}
        shown = {slug for view in self.views.values() for slug in view.at}
        return seen | shown | {call.at for call in (*self.prepare, *self.steps)}


class JourneysForm(Form):
    """A file of journeys."""

    roads: str | None = None
    """GeoJSON file beside this one, with road segments that are put first."""
    journeys: Annotated[list[Journey], Field(min_length=1)]
