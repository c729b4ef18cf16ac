"""Changes of agreements go to both parties in the order in which nothing crosses that both have not agreed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lienthong.exchange import v1
from mesh.cli import agreement_changes
from mesh.cli.agreement_changes import Change
from mesh.cli.exits import UsageError
from mesh.errors import Unavailable

AGREEMENT = v1.Agreement(
    id="a",
    provider="da-nang",
    recipient="hue",
    state=v1.AGREEMENT_STATE_ACTIVE,
    events=[v1.SharedEvent(type="lienthong.environment.v1.AirQualityAlertRaised", fields=["*"])],
)


class Mesh:
    """Two localities whose exchanges do as they are told, and say in which order they were."""

    def __init__(self, applied: Path, localities: tuple[str, ...] = ("da-nang", "hue")) -> None:
        self.localities = localities
        self.endpoints = SimpleNamespace(hub_applied=str(applied))
        self.told: list[tuple[str, str]] = []
        self.state = v1.AGREEMENT_STATE_ACTIVE

    async def services(self, locality: str) -> list[str]:
        return ["exchange"]

    def client(self, locality: str, service: str) -> Any:
        return SimpleNamespace(call=lambda method, request: self._call(locality, method))

    async def _call(self, locality: str, method: str) -> Any:
        held = v1.Agreement()
        held.CopyFrom(AGREEMENT)
        held.state = self.state
        if method == "ListAgreements":
            return v1.ListAgreementsResponse(agreements=[held])
        self.told.append((method, locality))
        return SimpleNamespace(agreement=held)


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    """What the hub lets through: the pair of the agreement."""
    file = tmp_path / "applied.json"
    file.write_text('{"pairs": [["da-nang", "hue"]]}')
    return file


async def test_applying_and_resuming_begin_at_the_recipient(applied: Path) -> None:
    """So that nothing crosses before it is expected there."""
    mesh = Mesh(applied)

    await agreement_changes.apply(mesh, AGREEMENT)  # type: ignore[arg-type]
    await agreement_changes.change(mesh, "a", Change.RESUME)  # type: ignore[arg-type]

    assert mesh.told == [
        *(("ApplyAgreement", "hue"), ("ApplyAgreement", "da-nang")),
        *(("ResumeAgreement", "hue"), ("ResumeAgreement", "da-nang")),
    ]


@pytest.mark.parametrize("what", [Change.SUSPEND, Change.REVOKE])
async def test_suspending_and_revoking_begin_at_the_provider(applied: Path, what: Change) -> None:
    """So that nothing crosses afterwards."""
    mesh = Mesh(applied)
    mesh.state = v1.AGREEMENT_STATE_SUSPENDED
    mesh.endpoints.hub_applied = str(applied.with_name("nothing is let through"))

    await agreement_changes.change(mesh, "a", what)  # type: ignore[arg-type]

    assert [locality for _, locality in mesh.told] == ["da-nang", "hue"]


async def test_the_hub_is_waited_for(applied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parties have suspended it, and the hub still lets the pair through: that is not yet done."""
    monkeypatch.setattr(agreement_changes, "_APPLIED_WITHIN_S", 0)
    mesh = Mesh(applied)
    mesh.state = v1.AGREEMENT_STATE_SUSPENDED

    with pytest.raises(Unavailable, match="hub has not followed"):
        await agreement_changes.change(mesh, "a", Change.SUSPEND)  # type: ignore[arg-type]


async def test_a_party_that_does_not_run_here_is_named_before_anything_is_done(applied: Path) -> None:
    """Half an agreement is none."""
    mesh = Mesh(applied, localities=("hue",))

    with pytest.raises(UsageError, match="da-nang does not run here"):
        await agreement_changes.apply(mesh, AGREEMENT)  # type: ignore[arg-type]

    assert mesh.told == []
