"""Changes of agreements, made at both parties in the order that never shows more than both have agreed.

What opens the border begins at the recipient, so that nothing crosses before it is expected; what closes it begins at
the provider, so that nothing crosses afterwards. Then the hub's permissions are waited for.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from lienthong.exchange import v1
from mesh.cli.agreement_state import held_at, state_name
from mesh.cli.exits import UsageError
from mesh.cli.running import EXCHANGE, RunningMesh
from mesh.errors import NotFound, Unavailable

_APPLIED_WITHIN_S: Final = 30.0


class Change(StrEnum):
    """What can be done with an agreement that is known."""

    SUSPEND = "suspend"
    RESUME = "resume"
    REVOKE = "revoke"


_METHODS: Final = {
    Change.SUSPEND: ("SuspendAgreement", v1.SuspendAgreementRequest),
    Change.RESUME: ("ResumeAgreement", v1.ResumeAgreementRequest),
    Change.REVOKE: ("RevokeAgreement", v1.RevokeAgreementRequest),
}
_OPENS: Final = frozenset({Change.RESUME})


async def apply(mesh: RunningMesh, agreement: v1.Agreement) -> v1.Agreement:
    """Applies an agreement at both parties. Raises UsageError when one does not run here, a MeshError when refused."""
    for party in _parties(mesh, agreement, opening=True):
        request = v1.ApplyAgreementRequest(request_id=_request_id(), agreement=agreement)
        answer = await mesh.client(party, EXCHANGE).call("ApplyAgreement", request)
    applied: v1.Agreement = answer.agreement
    await _until_in_force(mesh, applied)
    return applied


async def change(mesh: RunningMesh, id: str, what: Change) -> v1.Agreement:
    """Suspends, resumes or revokes at both parties. Raises NotFound, a MeshError when refused."""
    agreement = await find(mesh, id)
    method, request = _METHODS[what]
    for party in _parties(mesh, agreement, opening=what in _OPENS):
        asked = request(request_id=_request_id(), agreement_id=id)
        answer = await mesh.client(party, EXCHANGE).call(method, asked)
    changed: v1.Agreement = answer.agreement
    await _until_in_force(mesh, changed)
    return changed


async def find(mesh: RunningMesh, id: str) -> v1.Agreement:
    """The agreement as any running party holds it. Raises NotFound."""
    for slug in mesh.localities:
        for agreement in await held_at(mesh, slug):
            if agreement.id == id:
                return agreement
    raise NotFound("agreement", id)


def _parties(mesh: RunningMesh, agreement: v1.Agreement, *, opening: bool) -> tuple[str, str]:
    parties = agreement.recipient, agreement.provider
    for party in parties:
        if party not in mesh.localities:
            raise UsageError(
                f"{agreement.id} is between {agreement.provider} and {agreement.recipient}; {party} does not run here"
            )
    return parties if opening else (parties[1], parties[0])


async def _until_in_force(mesh: RunningMesh, agreement: v1.Agreement) -> None:
    """Waits until the hub lets the pair through, or no longer: what the broker itself enforces."""
    if mesh.endpoints.hub_applied is None:
        return
    file = Path(mesh.endpoints.hub_applied)
    pair = [agreement.provider, agreement.recipient]
    wanted = await _is_open(mesh, agreement)
    ends = asyncio.get_running_loop().time() + _APPLIED_WITHIN_S
    while (pair in applied_pairs(file)) != wanted:
        if asyncio.get_running_loop().time() > ends:
            raise Unavailable(
                f"{agreement.id} is {state_name(agreement.state)} at both parties, but the hub has not followed within "
                f"{_APPLIED_WITHIN_S:g} s; it goes on trying (lienthong status)"
            )
        await asyncio.sleep(0.1)


async def _is_open(mesh: RunningMesh, agreement: v1.Agreement) -> bool:
    """Whether both parties hold any agreement of this pair ACTIVE."""
    for party in (agreement.provider, agreement.recipient):
        active = [
            held
            for held in await held_at(mesh, party)
            if held.state == v1.AGREEMENT_STATE_ACTIVE
            and held.events
            and (held.provider, held.recipient) == (agreement.provider, agreement.recipient)
        ]
        if not active:
            return False
    return True


def applied_pairs(file: Path) -> list[Any]:
    """Pairs [provider, recipient] the hub lets through."""
    try:
        pairs: list[Any] = json.loads(file.read_text())["pairs"]
    except (OSError, ValueError, KeyError):
        return []
    return pairs


def _request_id() -> str:
    return f"cli-{uuid.uuid4().hex}"
