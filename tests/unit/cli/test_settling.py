"""A mesh has caught up when nothing is owed anywhere, and nothing is between two looks."""

from __future__ import annotations

from typing import Any

import pytest

from lienthong.exchange.v1 import AGREEMENT_STATE_ACTIVE, Agreement, ListAgreementsResponse
from lienthong.mesh import v1
from mesh.cli import settling
from mesh.errors import Unavailable


class Mesh:
    """One locality with one service, whose status is what a test lays out, look by look."""

    localities = ("hue",)

    def __init__(self, *looks: v1.GetStatusResponse | Exception) -> None:
        self._looks = list(looks)
        self.asked = 0

    async def services(self, locality: str) -> list[str]:
        return ["health"]

    async def ask(self, locality: str, method: str, request: Any) -> Any:
        assert method == "GetStatus"
        self.asked += 1
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(look, Exception):
            raise look
        return look


def status(committed: int, *, published: int | None = None, lag: int = 0, parked: int = 0) -> v1.GetStatusResponse:
    log = v1.LogStatus(log="events", committed=committed, published=committed if published is None else published)
    read = v1.SubscriptionStatus(subscription="health.advise", lag=lag, parked_lines=parked)
    return v1.GetStatusResponse(logs=[log], subscriptions=[read])


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_LOOK_EVERY_S", 0)
    monkeypatch.setattr(settling, "_LOOK_WHILE_BUSY_S", 0)


@pytest.mark.parametrize(
    "busy",
    [status(5, published=4), status(5, lag=1), status(5, parked=1), Unavailable("restarting")],
    ids=["not published", "not read", "parked", "no answer"],
)
async def test_what_is_owed_is_waited_for(busy: Any) -> None:
    """And told meanwhile."""
    told: list[dict[str, int]] = []

    assert await settling.caught_up(Mesh(busy, busy, status(5)), told.append)  # type: ignore[arg-type]

    assert [bool(owed) for owed in told] == [True, True, False, False]


async def test_one_quiet_look_is_not_enough() -> None:
    """An event was on its way from one service to the next: the number committed moved between two quiet looks."""
    mesh = Mesh(status(5), status(6), status(7), status(7))

    assert await settling.caught_up(mesh)  # type: ignore[arg-type]

    assert mesh.asked == 4


async def test_a_mesh_in_which_nothing_moves_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than waited for without end."""
    monkeypatch.setattr(settling, "PATIENCE_S", 0.05)

    assert not await settling.caught_up(Mesh(status(5, lag=3)))  # type: ignore[arg-type]


class Border:
    """Hue with an ACTIVE agreement; da-nang's share log is at 3, hue's mark where a test says."""

    localities = ("hue", "da-nang")

    def __init__(self, mark: int) -> None:
        self._mark = mark

    async def services(self, locality: str) -> list[str]:
        return ["exchange"]

    def client(self, locality: str, service: str) -> Any:
        class Exchange:
            async def call(self, method: str, request: Any) -> ListAgreementsResponse:
                held = Agreement(id="a", provider="da-nang", recipient="hue", state=AGREEMENT_STATE_ACTIVE)
                return ListAgreementsResponse(agreements=[held])

        return Exchange()

    async def ask(self, locality: str, method: str, request: Any) -> Any:
        line = "a/environment/air_quality_alert/3"
        answers = {
            "GetStatus": v1.GetStatusResponse(logs=[v1.LogStatus(log="shared-hue", committed=3, published=3)]),
            "GetHeads": v1.GetHeadsResponse(sequences={line: 3, "ended/environment/air_quality_alert/3": 9}),
            "ListMarks": v1.ListMarksResponse(marks=[v1.Mark(stream="RECEIVED_HUE", line=line, sequence=self._mark)]),
        }
        return answers[method]


@pytest.mark.parametrize(("mark", "expected"), [(3, True), (2, False)])
async def test_what_was_shared_must_have_been_admitted(
    mark: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by the provider's numbers, as the recipient cannot know what has not reached it; ended ones owe nothing."""
    monkeypatch.setattr(settling, "PATIENCE_S", 0.05)

    assert await settling.caught_up(Border(mark)) is expected  # type: ignore[arg-type]
