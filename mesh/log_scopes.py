"""Scopes of logs: what of another service's log a token opens, beside `mesh.log`, which opens the RPCs (ADR-0019).

| scope | opens |
| --- | --- |
| `mesh.log:local.environment.flood_alarm` | lines of that topic whose events were born in this locality |
| `mesh.log:peers.environment.flood_alarm` | those of other localities' events |
| `mesh.log:local.*`, `mesh.log:peers.*` | all lines of these, and the log as a whole |
| `mesh.log:shared-hue` | that share log; granted to nobody but who has every scope |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mesh.auth import Caller
from mesh.identity import EXCHANGE
from mesh.unit import EVENTS_LOG

LOG_SCOPE: Final = "mesh.log"
LOCAL_EVENTS: Final = "local"
PEERS_EVENTS: Final = "peers"


def log_scope(whose: str, sector: str = "", topic: str = "") -> str:
    """The scope of one topic's lines, or of all lines; `whose` is `local` or `peers`."""
    return f"{LOG_SCOPE}:{whose}.{f'{sector}.{topic}' if topic else '*'}"


@dataclass(frozen=True, slots=True)
class LogAccess:
    """What of one log a caller may know."""

    caller: Caller
    locality: str
    """The one that keeps the log."""
    service: str
    log: str = EVENTS_LOG

    def require(self, line: str = "") -> None:
        """Raises `PermissionDenied`, naming the scope, unless the line is open to the caller; without one, the log."""
        if self.log != EVENTS_LOG:
            self.caller.require(f"{LOG_SCOPE}:{self.log}")
        elif not line:
            self.caller.require(log_scope(self._whose))
        elif not self.opens(line):
            self.caller.require(self._scope_of(line))

    def require_some(self) -> None:
        """Raises `PermissionDenied` unless some line that the log may hold is open to the caller."""
        sector = "" if self._whose == PEERS_EVENTS else f"{self.service}."
        prefix = f"{LOG_SCOPE}:{self._whose}.{sector}"
        if self.log != EVENTS_LOG or not any(scope.startswith(prefix) for scope in self.caller.scopes):
            self.require()

    def opens(self, line: str) -> bool:
        """Whether a line is open to the caller."""
        return self.caller.allows(self._scope_of(line)) or self.caller.allows(log_scope(self._whose_line(line)))

    def opened(self, sequences: Mapping[str, int]) -> dict[str, int]:
        """Of sequences by line, those the caller may know."""
        if self.log != EVENTS_LOG or self.caller.allows(log_scope(self._whose)):
            return dict(sequences)
        return {line: sequence for line, sequence in sequences.items() if self.opens(line)}

    def _scope_of(self, line: str) -> str:
        sector, _, topic = line.partition("/")[2].rpartition("/")[0].partition("/")
        return log_scope(self._whose_line(line), sector, topic)

    def _whose_line(self, line: str) -> str:
        return LOCAL_EVENTS if line.startswith(f"{self.locality}/") else PEERS_EVENTS

    @property
    def _whose(self) -> str:
        """The exchange's log holds the events of other localities."""
        return PEERS_EVENTS if self.service == EXCHANGE else LOCAL_EVENTS
