"""`lienthong call`: calls any method of any service, found by reflection."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

import grpc
import typer
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from mesh.cli.exits import UsageError, complain, exit_code
from mesh.cli.options import DataDir
from mesh.cli.output import out, print_json, table
from mesh.cli.reflection import Reflected
from mesh.cli.requests import as_json, request_of
from mesh.cli.running import endpoints_of
from mesh.config import load
from mesh.errors import Unavailable, from_rpc_error
from mesh.tls import Tls

_DETAILS: Final = error_details_pb2.DESCRIPTOR.pool
"""Knows the details of google.rpc, because that module is imported."""


def call(
    locality: Annotated[str, typer.Argument(metavar="LOCALITY", help="Slug, such as da-nang.")],
    method: Annotated[
        str | None,
        typer.Argument(metavar="SERVICE.METHOD", help="Such as health.ListAdvisories; without it all are listed."),
    ] = None,
    request: Annotated[
        str | None,
        typer.Argument(metavar="JSON", help="The request; `-` reads standard input. A list for a stream of requests."),
    ] = None,
    deadline: Annotated[float, typer.Option(metavar="SECONDS", help="How long the answer may take.")] = 30.0,
    data: DataDir = None,
) -> None:
    """Call a method of a locality's service and print the answer as JSON, one line per message of a stream.

    A request_id that is not given is made up. An error is printed with its details; the exit code is 4 when the
    service refused, 3 when it does not answer.

    Example: lienthong call da-nang environment.GetStation '{"station_id": "st-1"}'
    """
    settings = load() if data is None else load(data_dir=data)
    endpoints = endpoints_of(settings)
    at = endpoints.localities.get(locality)
    if at is None:
        raise UsageError(f"{locality} does not run here; running: {', '.join(endpoints.localities)}")
    tls = Tls.of(at.credentials)
    with grpc.secure_channel(at.grpc, tls.credentials(), tls.options()) as channel:
        reflected = _reflected(channel, tls)
        if method is None:
            _list_methods(reflected)
            return
        _call(channel, reflected, reflected.method(method), request, at.token, deadline)


def _reflected(channel: grpc.Channel, tls: Tls) -> Reflected:
    """Asks the server for its services. Raises Unavailable that says what certificates have to do with it."""
    try:
        return Reflected(channel)
    except Unavailable as error:
        raise Unavailable(tls.explained(error.message)) from None


def _list_methods(reflected: Reflected) -> None:
    rows = [
        [f"{method.containing_service.name}.{method.name}", _takes(method), _gives(method)]
        for method in reflected.methods()
    ]
    out.print(table(["method", "takes", "gives"], rows))


def _takes(method: MethodDescriptor) -> str:
    return f"{'stream of ' if method.client_streaming else ''}{method.input_type.name}"


def _gives(method: MethodDescriptor) -> str:
    return f"{'stream of ' if method.server_streaming else ''}{method.output_type.name}"


def _call(
    channel: grpc.Channel, reflected: Reflected, method: MethodDescriptor, text: str | None, token: str, deadline: float
) -> None:
    request_id = f"cli-{uuid.uuid4().hex}"
    requests = [
        request_of(method, one, request_id=f"{request_id}-{number}", pool=reflected.pool)
        for number, one in enumerate(_given(text))
    ]
    if not method.client_streaming and len(requests) != 1:
        raise UsageError(f"{method.name} takes one request, not {len(requests)}")
    made = _callable(channel, reflected, method)
    metadata = [("authorization", f"Bearer {token}")]
    try:
        answers = made(iter(requests) if method.client_streaming else requests[0], timeout=deadline, metadata=metadata)
        for answer in answers if method.server_streaming else [answers]:
            print_json(as_json(answer, reflected.pool), one_line=method.server_streaming)
    except grpc.RpcError as error:
        raise _told(error) from None


def _callable(channel: grpc.Channel, reflected: Reflected, method: MethodDescriptor) -> Any:
    kinds: dict[tuple[bool, bool], Any] = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    return kinds[method.client_streaming, method.server_streaming](
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=reflected.message_class(method.input_type).SerializeToString,
        response_deserializer=reflected.message_class(method.output_type).FromString,
    )


def _given(text: str | None) -> list[dict[str, Any]]:
    if text == "-":
        text = sys.stdin.read()
    try:
        given = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise UsageError(f"the request is no JSON: {error}") from None
    found = given if isinstance(given, list) else [given]
    if not all(isinstance(one, dict) for one in found):
        raise UsageError("the request must be a JSON object, or a list of them")
    return found


def _told(error: grpc.RpcError) -> typer.Exit:
    """Prints the error with its details as JSON on standard error; returns how to end."""
    known = from_rpc_error(error)
    complain(f"{error.code().name}: {known}")
    details = list(_details(rpc_status.from_call(error)))  # type: ignore[arg-type]
    if details:
        json.dump(details, sys.stderr, ensure_ascii=False, indent=2)
        sys.stderr.write("\n")
    return typer.Exit(exit_code(known))


def _details(status: status_pb2.Status | None) -> Iterator[dict[str, Any]]:
    details: Iterable[Any] = status.details if status is not None else ()
    for detail in details:
        try:
            yield json_format.MessageToDict(detail, preserving_proto_field_name=True, descriptor_pool=_DETAILS)
        except TypeError:
            yield {"@type": detail.type_url}
