"""A feed loses no batch and counts none twice, whatever breaks between it and the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from lienthong.environment.v1 import (
    Reading,
    ReadingsOutcome,
    RegisterStationRequest,
    RejectedReading,
    StreamReadingsRequest,
    StreamReadingsResponse,
)
from mesh.cli.feed import WINDOW, Batch, Feed, Tally
from mesh.cli.readings_file import READINGS, ReadingRow
from mesh.errors import AlreadyExists, MeshError, NotFound, PermissionDenied, Unavailable


class Locality:
    """Answers as a service does: in order, the first answer again for a request it has seen."""

    def __init__(self, *breaks: MeshError | None) -> None:
        self._breaks = list(breaks)
        """What happens after each answer; None is nothing."""
        self.committed: dict[str, int] = {}
        self.streams = 0

    async def stream(self, method: str, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        assert method == "StreamReadings"
        self.streams += 1
        async for request in requests:
            rows = len(request.readings)
            self.committed.setdefault(request.request_id, rows)
            failure = self._breaks.pop(0) if self._breaks else None
            if failure is not None:
                raise failure
            outcome = ReadingsOutcome(rows=rows, accepted=rows)
            yield StreamReadingsResponse(request_id=request.request_id, outcome=outcome)


def batch(number: int, rows: int = 3) -> Batch:
    request = StreamReadingsRequest(request_id=f"r{number}", readings=[Reading(station_id="s") for _ in range(rows)])
    return Batch(request, [ReadingRow(n, {}) for n in range(rows)])


async def fed(locality: Any, batches: int) -> tuple[Feed, list[tuple[str, str]]]:
    rejected: list[tuple[str, str]] = []
    feed = Feed("hue", READINGS, locality, Tally(), lambda slug, row, field, rule: rejected.append((field, rule)))
    for number in range(batches):
        await feed.send(batch(number))
    await feed.finish()
    return feed, rejected


async def test_every_batch_is_answered_before_the_feed_ends() -> None:
    """More than fit into the window."""
    feed, _ = await fed(Locality(), 3 * WINDOW)

    assert feed.tally.accepted == feed.tally.done == 9 * WINDOW
    assert feed.breaks == 0


async def test_a_broken_stream_is_opened_again_with_the_same_requests() -> None:
    """The service may have committed what it could not answer any more; the request id makes that one batch."""
    locality = Locality(None, Unavailable("killed"), None, None, Unavailable("killed again"))

    feed, _ = await fed(locality, 10)

    assert sum(locality.committed.values()) == feed.tally.accepted == 30
    assert (feed.breaks, locality.streams) == (2, 3)


async def test_a_service_that_ends_the_stream_early_is_asked_again() -> None:
    """As one that drains does."""

    class Draining(Locality):
        async def stream(self, method: str, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for response in super().stream(method, requests):
                yield response
                if self.streams == 1:
                    return

    feed, _ = await fed(Draining(), 4)

    assert feed.tally.accepted == 12


async def test_what_cannot_succeed_ends_the_feed() -> None:
    """A token without the scope does not get one by waiting."""
    with pytest.raises(PermissionDenied):
        await fed(Locality(None, PermissionDenied("no", scope="environment.write")), 3 * WINDOW)


async def test_a_batch_of_unknown_stations_is_rejected_row_by_row() -> None:
    """And those behind it go on."""
    feed, rejected = await fed(Locality(None, NotFound("station", "s")), 3)

    assert (feed.tally.accepted, feed.tally.rejected) == (6, 3)
    assert rejected == [("station_id", "NOT_FOUND")] * 3
    assert feed.tally.done == 9


async def test_a_station_whose_id_is_taken_by_something_else_does_not_end_the_feed() -> None:
    """Its rows are rejected with the reason; those of others go on."""

    class Taken:
        async def call(self, method: str, request: Any, *, deadline_s: float) -> None:
            raise AlreadyExists("water station", "long-bien")

    client: Any = Taken()
    feed = Feed("ha-noi", READINGS, client, Tally(), lambda *_: None)

    refused = await feed.register(RegisterStationRequest(request_id="r"))

    assert refused is not None
    assert refused.rule == "ALREADY_EXISTS"
    assert "water station" in refused.description


async def test_rejected_rows_are_told_with_their_rule() -> None:
    """By their place in the batch."""

    class Strict:
        async def stream(self, method: str, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for request in requests:
                row = RejectedReading(index=1, field="humidity_percent", rule="lte")
                outcome = ReadingsOutcome(rows=3, accepted=1, duplicate=1, flagged=1, rejected=[row])
                yield StreamReadingsResponse(request_id=request.request_id, outcome=outcome)

    feed, rejected = await fed(Strict(), 1)

    assert rejected == [("humidity_percent", "lte")]
    assert feed.tally.as_json() == {
        "rows": 0,
        "accepted": 1,
        "duplicate": 1,
        "flagged": 1,
        "rejected": 1,
        "rejected_by_rule": {"lte": 1},
    }
