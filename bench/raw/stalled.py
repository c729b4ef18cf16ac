"""A subscriber that takes nothing: flow control holds it once its window is full. It reads when the load is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc

from bench.contract import Changed
from lienthong.gateway.v1 import SubscribeResponse
from mesh.errors import from_rpc_error

SMALL_WINDOW: Final = (("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0))
"""A few deliveries fill it. gRPC's 64 KiB take a hundred: at 5 events/s that is longer than a measurement."""


async def catch_up(call: Any, resume: Callable[[str], Any], count: int) -> dict[str, Any]:
    """Reads until so many events came; where the call was ended it goes on after the cursor of its status, once.

    Raises `SystemExit` unless each event came, once and in order.
    """
    came: list[int] = []
    ended, took = "", count
    try:
        await _read(call, came, count)
    except grpc.aio.AioRpcError as error:
        known = from_rpc_error(error)
        ended, took = known.code.name, len(came)
        await _read(resume(known.noted.get("cursor", "")), came, count)
    if came != list(range(count)):
        raise SystemExit(f"the stalled subscriber came to {len(came)} events of {count}, or not in their order")
    return {"took": took, "ended": ended}


async def _read(call: Any, came: list[int], count: int) -> None:
    async for response in call:
        delivery, changed = SubscribeResponse.FromString(response), Changed()
        if delivery.event.data.Unpack(changed):
            came.append(changed.amount)
        if len(came) == count:
            call.cancel()
            return
