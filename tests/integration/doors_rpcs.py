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

    Who is not hears UNAUTHENTICATED, or PERMISSION_DENIED for what it came with.
    """
    metadata = [("authorization", f"Bearer {token}")] if token else []
    try:
        await _call(channel, rpc, metadata)
    except grpc.aio.AioRpcError as answer:
        if answer.details() == _WROTE_TOO_LATE:
            return await lets_in(channel, rpc, token)
        if answer.code() is grpc.StatusCode.PERMISSION_DENIED:
            return _is_behind_the_door(answer, rpc)
        return answer.code() is not grpc.StatusCode.UNAUTHENTICATED
    return True


def _is_behind_the_door(refusal: grpc.aio.AioRpcError, rpc: OpenRpc) -> bool:
    """Whether a handler refused: for want of an agreement, or of a further scope for what was asked of it."""
    named = detail_of(refusal, "ErrorInfo").metadata
    wants_more = (refusal.details() or "").startswith("the token ") and named.get("scope") != rpc.scope
    return "agreement" in named or wants_more


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
