"""Time, injected: always UTC inside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

from nameko.extensions import DependencyProvider


class Time(Protocol):
    """What a handler may ask of ``self.clock``."""

    def now(self) -> datetime: ...


class SystemTime:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Clock(DependencyProvider):
    """Injects the process's clock."""

    def get_dependency(self, worker_ctx: Any) -> Time:
        time: Time = worker_ctx.container.host.time
        return time
