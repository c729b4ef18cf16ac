"""The recount: every event of every log against what its subscriptions did with it.

It counts effects by the event they name, and never believes a mark: a mark only tells whether an event without an
effect is still to come or was lost.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from mesh.cli.records import Entry, LogRecord, ServiceRecord, Snapshot, Watch


class Kind(StrEnum):
    """What can be wrong."""

    LOST = "lost"
    """The mark covers the event, and there is neither effect nor letter."""
    WAITING = "waiting"
    """Not yet handled; nothing is wrong while the mesh is at work."""
    DOUBLED = "doubled"
    """More than one effect of one subscription for one event."""
    OTHER_EVENT = "other event"
    """The effect names another event than the one the log holds under its number."""
    UNKNOWN_EVENT = "unknown event"
    """An effect, or a mark, of a number the log has never given."""
    LOG_HOLE = "log hole"
    """Numbers of a log or line that are not contiguous."""
    DEAD = "dead"
    """A dead letter."""
    HELD = "held"
    """Waits behind a dead letter of its key."""
    STREAM_HOLE = "stream hole"
    """The log says it is published, and the stream does not have it."""
    STREAM_OTHER = "stream differs"
    """The stream has another event under the number, or one the log does not know."""


HARMLESS = frozenset({Kind.WAITING})

Effects = dict[tuple[str, str, int], list[str]]
"""Which events the effects of a subscription, line and sequence name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One hole or double."""

    kind: Kind
    locality: str
    subscription: str
    """Subscription, or log or stream where no subscription is concerned."""
    line: str
    sequence: int
    detail: str = ""

    def __str__(self) -> str:
        where = f"{self.locality} {self.subscription} {self.line} {self.sequence}"
        return f"{self.kind}: {where}{': ' if self.detail else ''}{self.detail}"

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Recount:
    """What the recount came to, over all that the logs still hold."""

    logged: int
    published: int
    handled: int
    findings: list[Finding]

    def of(self, *kinds: Kind) -> list[Finding]:
        """Findings of these kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]

    @property
    def wrong(self) -> list[Finding]:
        """Findings that should not be."""
        return [finding for finding in self.findings if finding.kind not in HARMLESS]

    @property
    def lost(self) -> int:
        """Events without the effect they should have had, whether a mark passed them or never came."""
        return len(self.of(Kind.LOST, Kind.OTHER_EVENT, Kind.LOG_HOLE, Kind.WAITING))

    @property
    def doubled(self) -> int:
        """Events with more than one effect of the same subscription, or effects of events that never were."""
        return len(self.of(Kind.DOUBLED, Kind.UNKNOWN_EVENT))

    @property
    def dead(self) -> int:
        """Events laid aside, with those that wait behind them."""
        return len(self.of(Kind.DEAD, Kind.HELD))


def recount(snapshot: Snapshot) -> Recount:
    """Counts everything again."""
    findings = [finding for log in snapshot.logs for finding in _log_holes(log)]
    for service in snapshot.services:
        findings += _of_service(service, snapshot.logs)
    return Recount(
        logged=sum(len(log.entries) for log in snapshot.logs),
        published=sum(entry.position <= log.published for log in snapshot.logs for entry in log.entries),
        handled=sum(len(service.effects) for service in snapshot.services),
        findings=findings,
    )


def _log_holes(log: LogRecord) -> Iterator[Finding]:
    for before, after in pairwise(log.entries):
        if after.position != before.position + 1:
            detail = f"position {after.position} follows {before.position}"
            yield Finding(Kind.LOG_HOLE, log.locality, log.stream, after.line, after.sequence, detail)
    last: dict[str, int] = {}
    for entry in log.entries:
        expected = last.get(entry.line, entry.sequence - 1) + 1
        if entry.sequence != expected:
            detail = f"sequence {entry.sequence} where {expected} is next"
            yield Finding(Kind.LOG_HOLE, log.locality, log.stream, entry.line, entry.sequence, detail)
        last[entry.line] = entry.sequence


def _of_service(service: ServiceRecord, logs: Iterable[LogRecord]) -> Iterator[Finding]:
    effects: Effects = defaultdict(list)
    for effect in service.effects:
        effects[effect.subscription, effect.line, effect.sequence].append(effect.causation_id)
    aside = _Aside(service)
    for (subscription, line, sequence), causes in effects.items():
        if len(causes) > 1:
            yield Finding(Kind.DOUBLED, service.locality, subscription, line, sequence, f"{len(causes)} effects")
    for letter in service.letters:
        kind = Kind.HELD if letter.waiting else Kind.DEAD
        yield Finding(kind, service.locality, letter.subscription, letter.line, letter.first, letter.error)
    for watch in service.watches:
        feeding = [log for log in logs if _feeds(log, watch)]
        yield from _unpaid(watch, feeding, effects, aside)
        yield from _beyond(watch, feeding, effects)


class _Aside:
    """Which events lie among the letters of a service."""

    def __init__(self, service: ServiceRecord) -> None:
        self._ranges: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for letter in service.letters:
            self._ranges[letter.subscription, letter.line].append((letter.first, letter.last))

    def holds(self, subscription: str, line: str, sequence: int) -> bool:
        return any(first <= sequence <= last for first, last in self._ranges.get((subscription, line), ()))


def _unpaid(watch: Watch, logs: list[LogRecord], effects: Effects, aside: _Aside) -> Iterator[Finding]:
    """Events of the watched subjects that have neither the effect they should have nor a letter."""
    for entry in (entry for log in logs for entry in log.entries):
        if not _is_owed(watch, entry):
            continue
        causes = effects.get((watch.subscription, entry.line, entry.sequence))
        if causes and any(cause != entry.id for cause in causes):
            yield _finding(Kind.OTHER_EVENT, watch, entry, f"the effect names {causes[0]}, the log holds {entry.id}")
        elif not causes and not aside.holds(watch.subscription, entry.line, entry.sequence):
            covered = entry.sequence <= watch.marks.get(entry.line, watch.start.get(entry.line, 0))
            kind = Kind.LOST if covered else Kind.WAITING
            yield _finding(kind, watch, entry, f"{entry.type.rpartition('.')[2]} {entry.id}")


def _beyond(watch: Watch, logs: list[LogRecord], effects: Effects) -> Iterator[Finding]:
    """Marks and effects of numbers the logs have never given; numbers that stand for nothing were given."""
    heads: Counter[str] = Counter()
    for entry in (entry for log in logs for entry in log.entries):
        heads[entry.line] = max(heads[entry.line], entry.sequence)
    reached = [(line, mark, "the mark is there") for line, mark in watch.marks.items()]
    reached += [
        (line, n, "an effect names it") for subscription, line, n in effects if subscription == watch.subscription
    ]
    for line, sequence, why in reached:
        if line in heads and sequence > heads[line]:
            detail = f"{why}, and the log ends at {heads[line]}"
            yield Finding(Kind.UNKNOWN_EVENT, watch.locality, watch.subscription, line, sequence, detail)


def _feeds(log: LogRecord, watch: Watch) -> bool:
    """Whether the stream is the log's own, or the one at the recipient that sources it."""
    if log.stream == watch.stream:
        return log.locality == watch.locality
    _, received, recipient = watch.stream.partition("RECEIVED_")
    return bool(received) and log.stream.startswith("SHARED_") and log.stream.endswith(f"_TO_{recipient}")


def _is_owed(watch: Watch, entry: Entry) -> bool:
    if not entry.type or not covers(watch.subject, entry.subject) or entry.sequence <= watch.start.get(entry.line, 0):
        return False
    return not watch.types or entry.type in watch.types


def covers(pattern: str, subject: str) -> bool:
    """Whether a NATS subject filter covers a subject.

    >>> covers("events.*.environment.air_quality_alert.*", "events.hue.environment.air_quality_alert.3")
    True
    >>> covers("shared.da-nang.hue.>", "shared.da-nang.hue.dn-hue-air-1.environment.air_quality_alert.3")
    True
    """
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, tokens = wanted[:-1], tokens[: len(wanted) - 1]
    return len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens, strict=True))


def _finding(kind: Kind, watch: Watch, entry: Entry, detail: str) -> Finding:
    return Finding(kind, watch.locality, watch.subscription, entry.line, entry.sequence, detail)
