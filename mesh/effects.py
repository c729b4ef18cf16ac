"""The journal of effects: one record per handled event and subscription (ADR-0006)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from mesh.unit import Unit

EFFECTS = "effects"


def stage_effect(
    unit: Unit,
    *,
    subscription: str,
    line: str,
    sequence: int,
    causation_id: str,
    committed: Mapping[str, int],
    caused_at: datetime,
) -> None:
    """Stages the record of what was committed, by type, because of one event. The commit adds when."""
    effect = {
        "subscription": subscription,
        "line": line,
        "sequence": sequence,
        "causation_id": causation_id,
        "committed": dict(committed),
        "caused_at": caused_at,
    }
    unit.inserts.append((EFFECTS, effect))
