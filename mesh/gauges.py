"""Gauges: how far relays and subscriptions are behind, measured from time to time while telemetry is exported."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from mesh.errors import MeshError
from mesh.telemetry import line_lag_observed, relay_observed

if TYPE_CHECKING:
    from mesh.container import MeshContainer
    from mesh.host import Host

_logger = logging.getLogger(__name__)

_EVERY_S = 10.0


async def keep_measuring(host: Host) -> None:
    """Measures until cancelled."""
    while True:
        await asyncio.sleep(_EVERY_S)
        for container in host.containers.values():
            try:
                await measure(container)
            except (MeshError, PyMongoError) as error:
                _logger.debug("gauges wait: %s", type(error).__name__)


async def measure(container: MeshContainer) -> None:
    """Records lag and age of every relay and line of one service."""
    for relay in container.relays.values():
        status = await container.in_thread(relay.status)
        relay_observed(relay.log.stream, status.committed - status.published, status.oldest_unpublished_s)
    for flow in container.flows:
        for line, events in (await flow.lags()).items():
            line_lag_observed(flow.handling.subscription, line, events)
