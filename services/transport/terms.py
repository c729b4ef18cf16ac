"""What a restriction says: why, what it does, where, to whom and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.transport.documents import NEVER_MS
from services.transport.segments import Named, Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a happening calls for, or an operator asks for. Numbers are those of the contract's enums."""

    cause: int
    effect: int
    severity: int
    where: Within | Named
    vehicle_classes: Sequence[int] = ()
    """Empty for all."""
    from_ms: int
    is_planned: bool = False
    """Whether somebody set when it begins. Otherwise it begins with the last event, which alone is no news."""
    until_ms: int = NEVER_MS
    note: str = ""
