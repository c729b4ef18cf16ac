"""Judges requests as they went over the wire: does the contract allow them?

It knows nothing of the edge's transcoder or of schemas: it puts URL and body together again, and asks protobuf's own
parser and the rules of the contract.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError

from gateway.api.routes import Parameter, Route
from mesh.validation import violations


class Refused(Exception):
    """The contract does not allow the request."""


def is_bad(route: Route, url: str, body: bytes | str | None) -> bool:
    """Whether a request breaks the contract of the RPC it is for."""
    try:
        request = _body(route, body)
        for given, value in (*_in_path(route, url), *_in_query(route, url)):
            _place(request, route, given, value)
        return bool(violations(_parsed(route, request)))
    except (Refused, ParseError):
        return True


def _body(route: Route, body: bytes | str | None) -> dict[str, Any]:
    if not route.body or not body:
        return {}
    try:
        read = json.loads(body)
    except ValueError:
        raise Refused from None
    if not isinstance(read, dict):
        raise Refused
    return read


def _in_path(route: Route, url: str) -> Iterator[tuple[Parameter, Any]]:
    pattern = "/".join(re.sub(r"{\w+}", "([^/]*?)", part) for part in route.path.split("/"))
    found = re.fullmatch(pattern, urlsplit(url).path)
    if found is None:
        raise Refused
    return zip(route.in_path, map(unquote, found.groups()), strict=True)


def _in_query(route: Route, url: str) -> Iterator[tuple[Parameter, Any]]:
    asked = parse_qs(urlsplit(url).query, keep_blank_values=True)
    known = {given.name: given for given in route.in_query}
    asked.pop("", None)  # `&=1` names nothing, and the edge passes over it
    if asked.keys() - known.keys():
        raise Refused
    for name, values in asked.items():
        field: Any = known[name].field
        read = [_read(field, value) for value in values]
        yield known[name], read if field.is_repeated else read[-1]


def _read(field: Any, value: str) -> Any:
    """A value of a URL as it would stand in JSON."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        if value not in ("true", "false"):
            raise Refused
        return value == "true"
    return value


def _place(request: dict[str, Any], route: Route, given: Parameter, value: Any) -> None:
    descriptor: Any = route.rpc.input_type
    *outer, last = given.path.split(".")
    for name in outer:
        field = descriptor.fields_by_name[name]
        request, descriptor = request.setdefault(field.json_name, {}), field.message_type
        if not isinstance(request, dict):
            raise Refused
    request[descriptor.fields_by_name[last].json_name] = value


def _parsed(route: Route, request: dict[str, Any]) -> Any:
    message: Any = message_factory.GetMessageClass(route.rpc.input_type)()
    return ParseDict(request, message, ignore_unknown_fields=True)
