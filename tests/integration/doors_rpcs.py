"""Knocking at an RPC: whether a call is let in, whatever it is answered then."""

from __future__ import annotations

import grpc
from google.protobuf import message_factory

from mesh.doors.rpcs import OpenRpc
from tests.hosts import detail_of

ENOUGH_S = 2.0
"""Who is let in is answered in milliseconds, or with a stream that goes on."""
_WROTE_TOO_LATE = "Internal error from Core"
"""What a client tells itself whose request comes after the server's refusal; one in a hundred streams."""


async def lets_in(channel: grpc.aio.Channel, rpc: OpenRpc, token: str) -> bool:
    """Calls with an empty request: who is let in mostly hears what is wrong with it.

    Who is not hears UNAUTHENTICATED, or PERMISSION_DENIED naming the scope it lacks or whose certificate it has. The
    exchange also refuses whoever has no agreement, and names the agreement; the event gateway whoever may read none of
    the types, and names the types: that is behind the door.
    """
    metadata = [("authorization", f"Bearer {token}")] if token else []
    try:
        await _call(channel, rpc, metadata)
    except grpc.aio.AioRpcError as answer:
        if answer.details() == _WROTE_TOO_LATE:
            return await lets_in(channel, rpc, token)
        if answer.code() is grpc.StatusCode.PERMISSION_DENIED:
            return bool({"agreement", "types"} & detail_of(answer, "ErrorInfo").metadata.keys())
        return answer.code() is not grpc.StatusCode.UNAUTHENTICATED
    return True


async def _call(channel: grpc.aio.Channel, rpc: OpenRpc, metadata: list[tuple[str, str]]) -> None:
    method = rpc.descriptor
    request, answer = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    path, how = f"/{rpc.service}/{rpc.method}", (request.SerializeToString, answer.FromString)
    given = {"metadata": metadata, "timeout": ENOUGH_S}
    match method.client_streaming, method.server_streaming:
        case False, False:
            await channel.unary_unary(path, *how)(request(), **given)
        case False, True:
            await channel.unary_stream(path, *how)(request(), **given).read()
        case True, False:
            await channel.stream_unary(path, *how)(iter([request()]), **given)
        case _:
            await channel.stream_stream(path, *how)(iter([request()]), **given).read()
