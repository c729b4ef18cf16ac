"""What handlers of the exchange must know of the border beside documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from nameko.extensions import DependencyProvider

from mesh.counter import heads
from mesh.store import collection_of
from services.exchange.documents import Tally
from services.exchange.share_log import ShareLog, agreement_of, share_log


class Parties(Protocol):
    """An agreement, as far as counting needs it."""

    id: str
    provider: str
    recipient: str


class BorderView:
    """The border of one locality. Blocking; nothing read here leaves a view, so counting hinders no change."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self.here: str = container.locality
        """Slug of the locality."""

    def share_log(self, recipient: str) -> ShareLog:
        """The log of what a recipient may know."""
        return ShareLog(self._container, recipient)

    def carried(self, agreements: Sequence[Parties]) -> dict[str, int]:
        """Events that agreements have carried, by id: shared by this locality, or admitted here."""
        carried = self._admitted([one.id for one in agreements if one.recipient == self.here])
        for recipient in {one.recipient for one in agreements if one.provider == self.here}:
            carried.update(self._shared(recipient))
        return carried

    def _shared(self, recipient: str) -> Counter[str]:
        """A share line is numbered from 1, so the numbers given are the events shared."""
        _, sequences = heads(self._container.database, share_log(self.here, recipient))
        shared = Counter[str]()
        for line, head in sequences.items():
            shared[agreement_of(line)] += head
        return shared

    def _admitted(self, agreements: list[str]) -> Counter[str]:
        pipeline = [
            {"$match": {"agreement": {"$in": agreements}}},
            {"$group": {"_id": "$agreement", "carried": {"$sum": "$carried"}}},
        ]
        tallies = self._container.database[collection_of(Tally)]
        return Counter({group["_id"]: int(group["carried"]) for group in tallies.aggregate(pipeline)})


class Border(DependencyProvider):
    """Injects the border of the service's locality."""

    def get_dependency(self, worker_ctx: Any) -> BorderView:
        return BorderView(worker_ctx.container)
