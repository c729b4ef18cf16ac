"""`Client`: how a handler calls another sector of its locality.

    class AdministrationService:
        transport = Client("transport")

        @rpc
        def grant_permit(self, request):
            segments = self.transport.get_road_segments(GetRoadSegmentsRequest(segment_ids=request.segment_ids))

A call has a deadline, is tried again while it may be and its failure is transient, and stops for a while where nobody
answers (`mesh.client`). It is no part of the caller's unit of work: what the other sector has done stays done when the
handler runs again, so a write carries a `request_id` that is the same in every run.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from nameko.extensions import DependencyProvider

from mesh.annotations import method_scope
from mesh.call import Call
from mesh.contracts import contract_name, service_descriptor
from mesh.errors import ContractError, DeadlineExceeded
from mesh.rpc import snake_case

if TYPE_CHECKING:
    from mesh.host import Host

_IDS: Final = uuid.UUID("6f3d6b0e-0b53-5c11-9a44-6a1b6f1f2d07")
"""Namespace of the request ids that handlers' calls are given."""


class Client(DependencyProvider):
    """Injects what calls a service of this locality: its RPCs by their names in snake case, request in, response out.

    Unary RPCs only. A call raises the `MeshError` it failed with: transient ones may be left to whoever runs the
    handler. A missing `request_id` is made from what the handler was asked and the number of the call within the run.
    """

    def __init__(self, service: str, *, contract: str = "") -> None:
        """`contract` is the full name of the service's contract, where that does not follow from its name."""
        self.service = service
        self.contract = contract or contract_name(service)
        self._methods: Mapping[str, MethodDescriptor] = {}

    def setup(self) -> None:
        """Raises `ContractError` when no installed contract has the service."""
        descriptor = service_descriptor(self.contract)
        self._methods = {snake_case(method.name): method for method in descriptor.methods}

    def get_dependency(self, worker_ctx: Any) -> Calls:
        return Calls(self, worker_ctx.container.host, worker_ctx.data["call"], worker_ctx.container.service_name)

    def method(self, name: str) -> MethodDescriptor:
        """Raises `ContractError` naming the methods there are."""
        method = self._methods.get(name)
        if method is None:
            raise ContractError(f"{self.contract} has no RPC {name}; it has {', '.join(sorted(self._methods))}")
        return method


class Calls:
    """Calls of one handler run to one service."""

    def __init__(self, client: Client, host: Host, call: Call, caller: str) -> None:
        self._client = client
        self._host = host
        self._call = call
        self._caller = caller
        self._made = 0

    def __getattr__(self, name: str) -> Callable[[Message], Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        method = self._client.method(name)
        return lambda request: self._make(method, request)

    def _make(self, method: MethodDescriptor, request: Message) -> Any:
        number, self._made = self._made, self._made + 1
        if "request_id" in method.input_type.fields_by_name and not getattr(request, "request_id", ""):
            request = _with_request_id(request, request_id(self._call, self._caller, number))
        coroutine = self._calling(method, request, self._deadline_s())
        with self._host.pool.waiting():
            return asyncio.run_coroutine_threadsafe(coroutine, self._host.loop).result()

    async def _calling(self, method: MethodDescriptor, request: Message, deadline_s: float) -> Any:
        client = self._host.neighbours.caller(
            self._client.service, method.containing_service.full_name, method_scope(method)
        )
        return await client.call(method.name, request, deadline_s=deadline_s)

    def _deadline_s(self) -> float:
        """What a call may take: never longer than somebody waits for the handler."""
        allowed = self._host.settings.call_deadline_s
        if self._call.deadline is None:
            return allowed
        left = self._call.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"no time is left to call {self._client.service}")
        return min(allowed, left)


def request_id(call: Call, caller: str, number: int) -> str:
    """Id of the number-th request a handler run makes: the same whenever the handler runs for the same thing.

    Raises `ContractError` for a run nothing identifies, as one the clock began: it has to bring an id of its own.
    """
    if call.cause is not None:
        asked = f"{call.cause.id}|{caller}.{call.entrypoint.method_name}"
    elif call.caller is not None and call.request_id:
        asked = f"{call.caller.locality}/{call.caller.subject}|{call.method}|{call.request_id}"
    else:
        raise ContractError(f"{caller}.{call.entrypoint.method_name} makes a request that needs a request_id")
    return str(uuid.uuid5(_IDS, f"{asked}|{number}"))


def _with_request_id(request: Message, id: str) -> Message:
    identified = type(request)()
    identified.CopyFrom(request)
    identified.request_id = id  # type: ignore[attr-defined]
    return identified
