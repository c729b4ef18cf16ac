"""How RPCs are called over HTTP: their `google.api.http` rules, read as the edge's transcoder reads them.

Fields that a path names come from there. With `body: "*"` all others come from the body; without a body they are query
parameters, those of nested messages with dots between. A list of scalars is the parameter repeated; lists of messages,
maps and free-form values cannot be parameters (https://github.com/googleapis/googleapis, google/api/http.proto).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import MethodDescriptor

from gateway.api.contracts import http_rule
from gateway.api.rules import must_be_given
from mesh.errors import ContractError

_VARIABLE: Final = re.compile(r"\{([a-z0-9_.]+)(?:=\*)?\}")
_TEXTS: Final = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"})
"""Messages that JSON writes as text, and so a URL can too."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of the request that stands in the URL."""

    name: str
    path: str
    """Names of fields from the request down, with dots."""
    field: Any
    required: bool


@dataclass(frozen=True, slots=True)
class Route:
    """One way to call an RPC over HTTP."""

    rpc: MethodDescriptor
    verb: str
    """`get`, `put`, `post`, `patch`, `delete`."""
    path: str
    """Template whose variables are the names of `in_path`."""
    in_path: tuple[Parameter, ...]
    in_query: tuple[Parameter, ...]
    body: str
    """`*`, the name of a field, or empty."""


def routes_of(rpc: Any) -> Iterator[Route]:
    """The ways to call an RPC, the first one first; none for an RPC that speaks gRPC only."""
    rule = http_rule(rpc)
    for binding in (rule, *rule.additional_bindings):
        if verb := binding.WhichOneof("pattern"):
            yield _route(rpc, verb, binding)


def _route(rpc: Any, verb: str, binding: HttpRule) -> Route:
    template = getattr(binding, verb)
    bound = _VARIABLE.findall(template)
    path = _VARIABLE.sub(lambda variable: "{" + _camel_case(variable[1]) + "}", template)
    if path.count("{") != len(bound):
        raise ContractError(f"{rpc.full_name}: {template} has a variable of more than one segment")
    taken = {*bound, binding.body}
    query = () if binding.body == "*" else tuple(_parameters(rpc.input_type, taken))
    return Route(rpc, verb, path, tuple(_bound(rpc.input_type, name) for name in bound), query, binding.body)


def _bound(request: Any, path: str) -> Parameter:
    message, *names = request, *path.split(".")
    for name in names[:-1]:
        message = message.fields_by_name[name].message_type
    return Parameter(_camel_case(path), path, message.fields_by_name[names[-1]], required=True)


def _parameters(request: Any, taken: set[str]) -> Iterator[Parameter]:
    for name, path, field, required in _leaves(request, "", "", needed=True, above=()):
        if path not in taken and path.split(".")[0] not in taken:
            yield Parameter(name, path, field, required)


def _leaves(
    message: Any, names: str, path: str, *, needed: bool, above: tuple[str, ...]
) -> Iterator[tuple[str, str, Any, bool]]:
    if message.full_name in above:
        return
    # A nested message has no parameter of its own: where it must be given and none of its fields must, all do.
    all_needed = bool(path) and not any(map(must_be_given, message.fields))
    for field in message.fields:
        name, here = names + field.json_name, path + field.name
        required = needed and (all_needed or must_be_given(field))
        nested = field.message_type
        if nested is None or (nested.full_name in _TEXTS and not field.is_repeated):
            yield name, here, field, required
        elif not field.is_repeated and nested.file.package != "google.protobuf":
            yield from _leaves(nested, f"{name}.", f"{here}.", needed=required, above=(*above, message.full_name))


def _camel_case(path: str) -> str:
    """`stationId` for `station_id` and for `station.id`: a variable's name is the document's own."""
    first, *others = re.split(r"[._]", path)
    return first + "".join(part.title() for part in others)
