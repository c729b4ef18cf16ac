"""What of an answer crosses: the fields a lookup was granted, as paths, never a personal one.

Deny by default: a field this process does not know (a newer contract's) never crosses either. Unlike an event, whose
top-level fields are what it says, an answer is mostly a list of rows: so a path goes into them, `hours.index`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from google.protobuf.message import Message

from lienthong.mesh.v1 import SENSITIVITY_PERSONAL
from mesh.annotations import field_sensitivity, is_personal
from mesh.lookup import WITHHELD
from services.exchange.projection import ALL_FIELDS, union

Path = tuple[str, ...]

ALWAYS: Final = ("next_page_token", WITHHELD)
"""Fields of every answer that cross whatever is agreed: how to go on, and what is missing."""


@dataclass(slots=True)
class _Kept:
    """What is kept of one message."""

    cleared: list[str] = field(default_factory=list)
    partly: dict[str, _Kept] = field(default_factory=dict)

    def apply(self, message: Any) -> None:
        for name in self.cleared:
            message.ClearField(name)
        for name, kept in self.partly.items():
            for part in _messages(message, name):
                kept.apply(part)

    def withheld(self) -> Iterator[str]:
        yield from self.cleared
        for name, kept in self.partly.items():
            yield from (f"{name}.{inner}" for inner in kept.withheld())


class AnswerProjection:
    """The fields of one kind of answer that cross a border; made once, applied to every answer."""

    def __init__(self, answer: Any, fields: tuple[str, ...]) -> None:
        """`answer` is the descriptor of the response, `fields` what was agreed."""
        wanted = [(name,) for name in answer.fields_by_name] if fields == (ALL_FIELDS,) else map(path_of, fields)
        self._kept = _kept(answer, frozenset(wanted) | {(name,) for name in ALWAYS})
        self.withheld = tuple(self._kept.withheld())
        """Paths that never cross, set or not."""

    def apply(self, answer: Any) -> None:
        """Reduces an answer to what crosses, and lets it say what is missing."""
        self._kept.apply(answer)
        answer.DiscardUnknownFields()
        answer.withheld[:] = union(tuple(answer.withheld), self.withheld)


@lru_cache(maxsize=4096)
def answer_projection(answer: type[Message], fields: tuple[str, ...]) -> AnswerProjection:
    """Returns the projection of a kind of answer to `fields`, made once per process."""
    return AnswerProjection(answer.DESCRIPTOR, fields)


def path_of(name: str) -> Path:
    """`hours.index` as its steps."""
    return tuple(name.split("."))


def _kept(message: Any, wanted: frozenset[Path]) -> _Kept:
    kept = _Kept()
    for one in message.fields:
        inner = frozenset(path[1:] for path in wanted if path[0] == one.name)
        if () in inner and not is_personal(one):
            continue
        beneath = inner - {()}
        if beneath and is_entered(one):
            kept.partly[one.name] = _kept(one.message_type, beneath)
        else:
            kept.cleared.append(one.name)
    return kept


def is_entered(one: Any) -> bool:
    """Whether a path may go on inside a field: a message, or a list of them, that is not personal as a whole."""
    message = one.message_type
    if message is None or message.GetOptions().map_entry:
        return False
    return field_sensitivity(one) != SENSITIVITY_PERSONAL


def _messages(message: Any, name: str) -> Iterator[Any]:
    if message.DESCRIPTOR.fields_by_name[name].is_repeated:
        yield from getattr(message, name)
    elif message.HasField(name):
        yield getattr(message, name)
