"""A wish: which events a subscriber wants and may have, and what it is shown of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from gateway.api import topics
from gateway.events.projection import Projection, has_path
from mesh import localities
from mesh.auth import Caller
from mesh.errors import InvalidArgument, PermissionDenied
from mesh.events import Catalogue, Event, EventType

LOCAL, PEERS = "local", "peers"


@dataclass(frozen=True, slots=True)
class Wish:
    """What one subscription, or several alike, are to get."""

    projections: tuple[tuple[str, Projection], ...]
    """By type; types without one are not wanted."""
    origins: frozenset[str]
    """Empty means all."""
    keys: frozenset[str]
    """Empty means all."""

    @property
    def types(self) -> list[str]:
        """Full names of the types it is about."""
        return [name for name, _ in self.projections]

    def wants(self, event: Event) -> bool:
        """Whether an event of one of its types is wanted."""
        return (not self.origins or event.origin in self.origins) and (not self.keys or event.key in self.keys)


def read_scope(event_type: EventType) -> str:
    """Scope without which events of a type are not delivered."""
    return topics.read_scope(event_type.cls.DESCRIPTOR)


def personal_scope(event_type: EventType) -> str:
    """Scope without which personal fields of a type are withheld."""
    return topics.personal_scope(event_type.cls.DESCRIPTOR)


def wish_of(request: Any, caller: Caller, here: str, catalogue: Catalogue) -> Wish:
    """What a `SubscribeRequest` asks for. Raises `InvalidArgument` and `PermissionDenied`."""
    types = _types(request.types, caller, catalogue)
    fields = _fields(request, types)
    projections = ((kind.name, Projection(fields, caller.allows(personal_scope(kind)))) for kind in types)
    return Wish(tuple(projections), _origins(request.origins, here), frozenset(request.keys))


def _types(names: Collection[str], caller: Caller, catalogue: Catalogue) -> list[EventType]:
    if not names:
        return _readable(caller, catalogue)
    found = {name: catalogue.get(name) for name in sorted(set(names))}
    known = [kind for kind in found.values() if kind is not None]
    if unknown := [name for name, kind in found.items() if kind is None]:
        raise _unknown(unknown[0], list(names).index(unknown[0]), catalogue)
    if denied := [kind for kind in known if not caller.allows(read_scope(kind))]:
        scopes = sorted({read_scope(kind) for kind in denied})
        theirs = ", ".join(kind.name for kind in denied)
        refused = PermissionDenied(f"the token lacks scope {' '.join(scopes)} for {theirs}", scope=" ".join(scopes))
        raise refused.note(types=theirs)
    return known


def _readable(caller: Caller, catalogue: Catalogue) -> list[EventType]:
    readable = [kind for kind in catalogue if caller.allows(read_scope(kind))]
    if not readable:
        refused = PermissionDenied(
            "the token has no scope to read a sector, as environment.read", scope="environment.read"
        )
        raise refused.note(types="any")
    return readable


def _unknown(name: str, index: int, catalogue: Catalogue) -> InvalidArgument:
    """Names the types that may have been meant: those of its package, else all packages."""
    package = name.rpartition(".")[0]
    known = [kind.name for kind in catalogue]
    near = [other for other in known if other.startswith(f"{package}.")] if package else []
    shown = near or sorted({other.rpartition(".")[0] + ".*" for other in known})
    return InvalidArgument.field(f"types[{index}]", f"is no event type; known are {', '.join(shown)}", rule="types")


def _fields(request: Any, types: Iterable[EventType]) -> tuple[str, ...] | None:
    if not request.HasField("fields"):
        return None
    types = list(types)
    for path in request.fields.paths:
        if not any(has_path(kind, path) for kind in types):
            raise InvalidArgument.field("fields", "names a field that none of the types has", rule="fields")
    return tuple(sorted(set(request.fields.paths)))


def _origins(names: Iterable[str], here: str) -> frozenset[str]:
    origins: set[str] = set()
    known = set(localities.slugs())
    for index, name in enumerate(names):
        if name == PEERS:
            origins |= known - {here}
        elif name == LOCAL:
            origins.add(here)
        elif name in known:
            origins.add(name)
        else:
            message = f"expected the slug of a locality, `{LOCAL}` or `{PEERS}`"
            raise InvalidArgument.field(f"origins[{index}]", message, rule="origins")
    return frozenset(origins)
