"""A call: one handler run somebody or something asked for."""

from __future__ import annotations

import contextvars
import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf.message import Message
from nameko.extensions import Entrypoint

from mesh.auth import Caller
from mesh.events import Event
from mesh.unit import Address, Unit

REQUESTS = "requests"


@dataclass(slots=True)
class Call:
    """One handler run somebody waits for."""

    entrypoint: Entrypoint
    args: tuple[Any, ...]
    caller: Caller | None = None
    cause: Event | None = None
    deadline: float | None = None
    """Monotonic time after which nobody waits any longer."""
    method: str = ""
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    @property
    def request_id(self) -> str:
        return str(getattr(self.args[0], "request_id", "")) if self.args else ""

    def again(self) -> Call:
        """The same call for another try; a context can be entered by one run at a time."""
        return replace(self, context=self.context.copy())

    def record_address(self) -> Address:
        """Where the answer to this request is kept: one per caller, method and request id."""
        subject = self.caller.subject if self.caller else ""
        locality = self.caller.locality if self.caller else ""
        return REQUESTS, f"{locality}/{subject}|{self.method}|{self.request_id}"

    def digest(self) -> bytes:
        """Tells whether a repeated request has the same content."""
        request: Message = self.args[0]
        return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


@dataclass(slots=True)
class Done:
    """A handler that returned, its unit sealed but not yet committed."""

    result: Any
    unit: Unit
    committed: dict[str, int]
    """Documents and events it commits, counted by type."""
