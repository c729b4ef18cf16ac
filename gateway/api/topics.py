"""Topics: the events of one kind of thing's life, which share their order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from gateway.api.contracts import Contracts
from lienthong.mesh.v1.annotations_pb2 import SENSITIVITY_PERSONAL
from mesh.annotations import event_options


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of one sector, and its types of events."""

    sector: str
    topic: str
    key_field: str
    types: tuple[str, ...]
    """Full names."""

    @property
    def name(self) -> str:
        """`environment.air_quality_alert`."""
        return f"{self.sector}.{self.topic}"


def topics(contracts: Contracts) -> list[Topic]:
    """All topics by sector and name."""
    events = sorted(contracts.events(), key=lambda event: (*_place(event), event.full_name))
    return [_topic(place, list(of_it)) for place, of_it in groupby(events, key=_place)]


def sector_of(event: Any) -> str:
    """From the package: `lienthong.<sector>.v1`, or `<sector>.v1` of somebody else."""
    return str(event.file.package.split(".")[-2])


def read_scope(event: Any) -> str:
    """Scope without which the gateway does not deliver events of a type, beside `events.read`."""
    personal = event_options(event).sensitivity == SENSITIVITY_PERSONAL
    return personal_scope(event) if personal else f"{sector_of(event)}.read"


def personal_scope(event: Any) -> str:
    """Scope without which the gateway withholds personal fields of a type."""
    return f"{sector_of(event)}.personal"


def _place(event: Any) -> tuple[str, str]:
    return sector_of(event), event_options(event).topic


def _topic(place: tuple[str, str], events: list[Any]) -> Topic:
    types = tuple(str(event.full_name) for event in events)
    return Topic(*place, key_field=event_options(events[0]).key_field, types=types)
