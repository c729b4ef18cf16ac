"""A `grpc.aio` server that writes the same documents in one transaction per request: the outbox as one writes it."""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import grpc
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from bench.contract import Changed, ChangeRequest, ChangeResponse
from bench.processes import Link
from mesh.events import new_event, to_headers

_DURABLE = WriteConcern(w="majority", j=True)


class Changes:
    """Records a change with its event and its request record."""

    def __init__(self, uri: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri, tz_aware=True)
        self._database = self._client["raw"]
        for name in ("changes", "log", "requests"):
            self._database.create_collection(name)
        # The same indexes as ours.
        self._database["log"].create_index([("line", 1), ("sequence", 1)])
        self._database["log"].create_index("expire_at", expireAfterSeconds=0)
        self._database["requests"].create_index("at", expireAfterSeconds=7 * 86400)

    def record(self, request: Any) -> Any:
        """Blocking: one transaction. The log entry's id is its own: a counter would make the requests wait in line."""
        answer = ChangeResponse(id=request.id, amount=request.amount)
        at = datetime.now(UTC)
        changed = Changed(id=request.id, amount=request.amount, note=request.note)
        event = new_event(changed, source="/da-nang/bench", time=at)
        entry = {
            "_id": event.id,
            "line": event.line,
            "sequence": time.monotonic_ns(),
            "subject": f"events.da-nang.bench.change.{event.partition}",
            "type": event.type,
            "headers": to_headers(event),
            "data": event.data,
            "at": at,
        }
        record = {
            "_id": request.request_id,
            "digest": uuid.uuid4().bytes * 2,
            "answer": answer.SerializeToString(),
            "at": at,
        }
        change = {"_id": request.id, "amount": request.amount, "note": request.note}
        with (
            self._client.start_session() as session,
            session.start_transaction(read_concern=ReadConcern("snapshot"), write_concern=_DURABLE),
        ):
            self._database["requests"].insert_one(record, session=session)
            self._database["changes"].insert_one(change, session=session)
            self._database["log"].insert_one(entry, session=session)
        return answer


async def main(link: Link, mongodb: str, threads: int) -> None:
    """Serves until the measurement ends."""
    pool, loop = ThreadPoolExecutor(threads), asyncio.get_running_loop()
    changes = Changes(mongodb)

    async def change(request: Any, context: Any) -> Any:
        return await loop.run_in_executor(pool, changes.record, request)

    handler = grpc.unary_unary_rpc_method_handler(
        change, request_deserializer=ChangeRequest.FromString, response_serializer=ChangeResponse.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.v1.BenchService", {"Change": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    link.say(port=port)
    await link.serve()
    await server.stop(None)
