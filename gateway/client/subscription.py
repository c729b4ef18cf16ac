"""One subscription over any number of streams: what to ask for, how far it has come, which failures it outlives."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from lienthong.client.delivery import Delivery
from lienthong.gateway.v1 import SubscribeRequest, SubscribeResponse

E = TypeVar("E", bound=Message)

_PASSES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
"""Failures that end by themselves, sooner or later."""
_MAY_PASS: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
"""A token that expired meanwhile, a connection that broke in the middle of a frame: or a fault that stays."""
_TRIES: Final = 5
"""How often in a row, without a delivery between, what may pass is believed to."""
_SHORTEST_S, _LONGEST_S = 0.1, 5.0


class Subscription(Generic[E]):
    """Wanted events, and the cursor after the last one delivered."""

    def __init__(
        self,
        types: Iterable[type[E]],
        *,
        origin: str | Iterable[str] = (),
        key: str | Iterable[str] = (),
        fields: Iterable[str] = (),
        since: datetime | None = None,
        after: str = "",
    ) -> None:
        """See `Client.subscribe`. Raises ValueError for a time without a zone, or with both `since` and `after`."""
        if since is not None and (after or since.tzinfo is None):
            raise ValueError("`since` needs a time zone, and goes without `after`")
        self._wanted = SubscribeRequest(
            types=[event.DESCRIPTOR.full_name for event in types], origins=_several(origin), keys=_several(key)
        )
        self._wanted.fields.paths.extend(fields)
        if not self._wanted.fields.paths:
            self._wanted.ClearField("fields")
        if since is not None:
            self._wanted.start_time.FromDatetime(since)
        if after:
            self._wanted.after_cursor = after
        self._failures = 0

    def request(self) -> SubscribeRequest:
        """What to ask for next: all that comes after what was delivered."""
        return self._wanted

    def take(self, response: SubscribeResponse) -> Delivery[E] | None:
        """Moves on; returns the delivery unless only the cursor has moved."""
        self._failures = 0
        self._wanted.after_cursor = response.cursor
        if not response.HasField("event"):
            return None
        return Delivery(_message(response.event.data), response.cursor, response.event)

    def pause_s(self, failure: grpc.RpcError | None) -> float:
        """How long to wait before the next stream; ``None`` means that the gateway ended the last one in peace.

        Raises the failure when waiting does not help.
        """
        self._failures += 1
        if failure is not None:
            code = failure.code()
            if code not in _PASSES and (code not in _MAY_PASS or self._failures > _TRIES):
                raise failure
        return random.uniform(0.5, 1.0) * min(_SHORTEST_S * 2.0 ** min(self._failures - 1, 10), _LONGEST_S)


def _several(one_or_more: str | Iterable[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else list(one_or_more)


def _message(data: AnyMessage) -> Any:
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(data.TypeName())
    except KeyError:
        return data
    return message_factory.GetMessageClass(descriptor).FromString(data.value)
