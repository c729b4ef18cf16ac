"""What handlers of the exchange must know of the border beside documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nameko.extensions import DependencyProvider

from mesh.store import collection_of
from services.exchange.documents import Tally
from services.exchange.share_log import ShareLog


class BorderView:
    """The border of one locality. Blocking; nothing read here leaves a view, so counting hinders no change."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self.here: str = container.locality
        """Slug of the locality."""

    def share_log(self, recipient: str) -> ShareLog:
        """The log of what a recipient may know."""
        return ShareLog(self._container, recipient)

    def carried(self, agreements: Iterable[str]) -> dict[str, int]:
        """Events that agreements have carried, by id."""
        pipeline = [
            {"$match": {"agreement": {"$in": list(agreements)}}},
            {"$group": {"_id": "$agreement", "carried": {"$sum": "$carried"}}},
        ]
        tallies = self._container.database[collection_of(Tally)]
        return {group["_id"]: int(group["carried"]) for group in tallies.aggregate(pipeline)}


class Border(DependencyProvider):
    """Injects the border of the service's locality."""

    def get_dependency(self, worker_ctx: Any) -> BorderView:
        return BorderView(worker_ctx.container)
