"""The story of one event: where it is logged, what it says, what it brought about, and in which localities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.console import Group, RenderableType
from rich.text import Text

from lienthong.mesh.v1 import ReadLogRequest
from mesh.cli import snapshot
from mesh.cli.exits import UsageError
from mesh.cli.output import clock, duration, short, table
from mesh.cli.records import EffectRecord, Entry, LogRecord, Snapshot
from mesh.cli.running import RunningMesh
from mesh.errors import NotFound, UndecodableEvent
from mesh.events import Event, from_headers


@dataclass(frozen=True, slots=True)
class Story:
    """One event and what came of it."""

    event: Event
    headers: dict[str, str]
    logged: list[tuple[LogRecord, Entry]]
    """Every log that holds it: its sector's, share logs, exchanges that admitted it."""
    effects: list[tuple[str, str, EffectRecord]]
    """With locality and service."""
    caused: list[tuple[LogRecord, Entry]]
    """Events its effects emitted."""

    def shown(self) -> RenderableType:
        """For people."""
        return Group(
            Text.assemble((short(self.event.type), "bold"), f"  {self.event.key}  {self.event.time.isoformat()}"),
            "",
            table(
                ["header", "value"],
                [[name, value] for name, value in sorted(self.headers.items())],
                title="As published",
            ),
            "",
            table(
                ["field", "value"],
                [[name, str(value)] for name, value in _message(self.event).items()],
                title="What it says",
            ),
            "",
            table(
                ["where", "line", ">sequence", ">position", "committed"],
                map(_logged_row, self.logged),
                title="Where it is logged",
            ),
            "",
            table(
                ["where", "subscription", "committed", ">after"],
                map(_effect_row, self.effects),
                title="What it brought about",
            )
            if self.effects
            else Text("Nobody acted on it.", style="dim"),
            *self._caused(),
        )

    def _caused(self) -> list[RenderableType]:
        if not self.caused:
            return []
        rows = [[short(entry.type), entry.id, log.locality] for log, entry in self.caused]
        return ["", table(["event", "id", "in"], rows, title="Which events followed")]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "id": self.event.id,
            "type": self.event.type,
            "headers": self.headers,
            "message": _message(self.event),
            "logged": [
                {
                    "locality": log.locality,
                    "service": log.service,
                    "log": log.name,
                    "line": entry.line,
                    "sequence": entry.sequence,
                    "position": entry.position,
                    "committed_at": entry.at.isoformat(),
                }
                for log, entry in self.logged
            ],
            "effects": [
                {
                    "locality": locality,
                    "service": service,
                    "subscription": effect.subscription,
                    "committed": effect.committed,
                    "committed_at": effect.committed_at.isoformat(),
                    "after_s": _after_s(effect),
                }
                for locality, service, effect in self.effects
            ],
            "caused": [{"id": entry.id, "type": entry.type, "locality": log.locality} for log, entry in self.caused],
        }


async def of(mesh: RunningMesh, id: str) -> Story:
    """The story of the event whose id begins or ends so. Raises NotFound, UsageError when several do."""
    wanted = snapshot.Wanted(
        entry=lambda entry: _is_meant(entry.id, id) or _is_meant(entry.causation_id, id),
        effect=lambda effect: _is_meant(effect.causation_id, id),
    )
    taken = await snapshot.take(mesh, wanted)
    logged = _logged(taken, id)
    log, entry = logged[0]
    request = ReadLogRequest(service=log.service, log=log.name, after_position=entry.position - 1, limit=1)
    [raw] = await snapshot.log_entries(mesh, log.locality, request)
    headers = dict(raw.headers)
    effects = [
        (service.locality, service.service, effect)
        for service in taken.services
        for effect in service.effects
        if effect.causation_id == entry.id
    ]
    caused = [(log, other) for log in taken.logs for other in log.entries if other.causation_id == entry.id]
    return Story(
        from_headers(headers, raw.data), headers, logged, sorted(effects, key=lambda e: e[2].committed_at), caused
    )


def _logged(taken: Snapshot, id: str) -> list[tuple[LogRecord, Entry]]:
    found = [(log, entry) for log in taken.logs for entry in log.entries if _is_meant(entry.id, id)]
    ids = sorted({entry.id for _, entry in found})
    if not ids:
        raise NotFound("event", id)
    if len(ids) > 1:
        raise UsageError(f"{len(ids)} events begin or end so: {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")
    return sorted(found, key=lambda pair: pair[1].at)


def _is_meant(id: str, part: str) -> bool:
    return bool(part) and (id.startswith(part) or id.endswith(part))


def _message(event: Event) -> dict[str, Any]:
    try:
        shown: dict[str, Any] = MessageToDict(event.message(), preserving_proto_field_name=True)
    except UndecodableEvent as error:
        return {"": str(error)}
    return shown


def _logged_row(pair: tuple[LogRecord, Entry]) -> list[str]:
    log, entry = pair
    return [
        f"{log.locality} {log.service} {log.name}",
        entry.line,
        str(entry.sequence),
        str(entry.position),
        clock(entry.at),
    ]


def _effect_row(triple: tuple[str, str, EffectRecord]) -> list[str]:
    locality, _, effect = triple
    committed = ", ".join(f"{count} {name}" for name, count in sorted(effect.committed.items())) or "nothing"
    return [locality, effect.subscription, committed, duration(_after_s(effect))]


def _after_s(effect: EffectRecord) -> float:
    return (effect.committed_at - effect.caused_at).total_seconds()
