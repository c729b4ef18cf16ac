"""Requests and answers of any method, as the JSON that people write and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from mesh.cli.exits import UsageError


def request_of(
    method: MethodDescriptor, given: Mapping[str, Any], *, request_id: str, pool: DescriptorPool | None = None
) -> Message:
    """The request; `request_id` is set where the method takes one and none is given.

    Raises UsageError naming the fields there are.
    """
    fields = method.input_type.fields_by_name
    if "request_id" in fields and not {"request_id", "requestId"} & given.keys():
        given = {**given, "request_id": request_id}
    try:
        message = message_factory.GetMessageClass(method.input_type)()
        return json_format.ParseDict(dict(given), message, descriptor_pool=pool)
    except json_format.ParseError as error:
        fields_of_it = ", ".join(fields) or "none"
        raise UsageError(f"the request is no {method.input_type.name}: {error} (fields: {fields_of_it})") from None


def as_json(answer: Message, pool: DescriptorPool | None = None) -> dict[str, Any]:
    """An answer with all its fields, those without a value too."""
    shown: dict[str, Any] = json_format.MessageToDict(
        answer,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        descriptor_pool=pool,
    )
    return shown
