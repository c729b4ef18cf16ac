"""What is fetched of a mesh: everything is read, what is not wanted is not kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from lienthong.mesh import v1
from mesh.cli import snapshot

PAGES = 3


class OneService:
    """A mesh of one service whose log and effects come in pages of two."""

    localities = ("hue",)

    async def services(self, locality: str) -> list[str]:
        return ["health"]

    async def ask(self, locality: str, method: str, request: Any) -> Any:
        return {
            "GetStatus": v1.GetStatusResponse(logs=[v1.LogStatus(log="events", stream="EVENTS_HUE_HEALTH")]),
            "ListMarks": v1.ListMarksResponse(),
            "ListDeadLetters": v1.ListDeadLettersResponse(),
        }[method]

    async def pages(self, locality: str, method: str, request: Any) -> AsyncIterator[Any]:
        for number in range(0, 2 * PAGES, 2):
            if method == "ReadLog":
                entries = [v1.LogEntry(position=at, headers={"ce-id": f"id-{at}"}) for at in (number, number + 1)]
                yield v1.ReadLogResponse(entries=entries)
            else:
                effects = [v1.Effect(sequence=at, causation_id=f"id-{at}") for at in (number, number + 1)]
                yield v1.ReadEffectsResponse(effects=effects)


async def test_everything_is_kept_unless_told_otherwise() -> None:
    """A recount judges every entry and every effect."""
    taken = await snapshot.take(OneService())  # type: ignore[arg-type]

    assert [entry.id for entry in taken.logs[0].entries] == [f"id-{at}" for at in range(2 * PAGES)]
    assert len(taken.services[0].effects) == 2 * PAGES


async def test_of_a_long_log_only_what_is_wanted_is_kept() -> None:
    """A story of one event keeps what is about it, from whatever page."""
    wanted = snapshot.Wanted(lambda entry: entry.id == "id-3", lambda effect: effect.causation_id == "id-4")

    taken = await snapshot.take(OneService(), wanted)  # type: ignore[arg-type]

    assert [entry.position for entry in taken.logs[0].entries] == [3]
    assert [effect.sequence for effect in taken.services[0].effects] == [4]
