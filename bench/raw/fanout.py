"""A bare `grpc.aio` fan-out: each subscriber has a queue, each change goes into all of them, serialized once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from bench.contract import Changed, ChangeRequest, ChangeResponse
from bench.processes import Link
from lienthong.gateway.v1 import SubscribeRequest, SubscribeResponse

CURSOR = "zF3c2mRhLW5hbmc7YmVuY2g9MTIzNDU2"


async def main(link: Link) -> None:
    """Serves until the measurement ends."""
    queues: set[asyncio.Queue[bytes]] = set()

    async def subscribe(request: Any, context: Any) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        queues.add(queue)
        try:
            yield SubscribeResponse(cursor=CURSOR).SerializeToString()
            while True:
                yield await queue.get()
        finally:
            queues.discard(queue)

    async def change(request: Any, context: Any) -> Any:
        delivery = _delivery(request)
        for queue in queues:
            queue.put_nowait(delivery)
        return ChangeResponse(id=request.id, amount=request.amount)

    server = grpc.aio.server()
    streaming = grpc.unary_stream_rpc_method_handler(subscribe, request_deserializer=SubscribeRequest.FromString)
    unary = grpc.unary_unary_rpc_method_handler(change, ChangeRequest.FromString, ChangeResponse.SerializeToString)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("lienthong.gateway.v1.EventGateway", {"Subscribe": streaming}),
            grpc.method_handlers_generic_handler("bench.v1.BenchService", {"Change": unary}),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    link.say(port=port)
    await link.serve({"waiting": lambda: _waiting(queues)})
    await server.stop(None)


async def _waiting(queues: set[asyncio.Queue[bytes]]) -> dict[str, Any]:
    """Deliveries in the longest queue."""
    return {"deliveries": max(queue.qsize() for queue in queues)}


def _delivery(request: Any) -> bytes:
    """As large as the event gateway's."""
    delivery = SubscribeResponse(cursor=CURSOR)
    event = delivery.event
    event.specversion, event.id = "1.0", "019de04c-6b00-7a51-9d1f-5a1f6f3c2b10"
    event.source, event.type = "/da-nang/bench", "bench.v1.Changed"
    event.subject = event.partitionkey = request.id
    event.datacontenttype, event.dataschema = "application/json", "urn:lienthong:schema:bench.v1.Changed"
    event.time.GetCurrentTime()
    event.data.Pack(Changed(id=request.id, amount=request.amount, note=request.note))
    event.sequence = event.originsequence = event.keyrevision = "123456"
    event.correlationid = event.id
    event.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return delivery.SerializeToString()
