"""A bare `grpc.aio` server that answers the same message; with a hop to a thread and back where it is asked to."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from bench.contract import ChangeResponse, EchoRequest
from bench.processes import Link


async def main(link: Link, threads: int = 0) -> None:
    """Serves until the measurement ends. `threads` is the size of the pool handlers run in; 0 runs them on the loop."""
    pool = ThreadPoolExecutor(threads or 1)
    loop = asyncio.get_running_loop()

    async def on_loop(request: Any, context: Any) -> Any:
        return _respond(request)

    async def in_thread(request: Any, context: Any) -> Any:
        return await loop.run_in_executor(pool, _respond, request)

    handler = grpc.unary_unary_rpc_method_handler(
        in_thread if threads else on_loop,
        request_deserializer=EchoRequest.FromString,
        response_serializer=ChangeResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.v1.BenchService", {"Echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    link.say(port=port)
    await link.serve()
    await server.stop(None)


def _respond(request: Any) -> Any:
    return ChangeResponse(id=request.id, amount=request.amount)
