"""Replies to commands sent together, read in as few calls as they arrive in.

pymongo reads a reply in two pieces and sets the socket's timeout before and after each: eight releases of the
interpreter's lock for 200 bytes, and after each of them another thread may keep it for a while.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

from pymongo.errors import ProtocolError, _OperationCancelled
from pymongo.message import _OpMsg

_HEADER: Final = Struct("<iiii")
_OP_MSG: Final = 2013
_LOOK_EVERY_S: Final = 0.5
"""How often whoever waits looks whether the driver has given up on the server; as often as pymongo does."""
_ROOM: Final = 64 << 10


def receive(connection: Any, ids: Sequence[int]) -> list[_OpMsg]:
    """Returns the replies to the requests of these ids, which were sent in this order.

    Raises `ConnectionFailure`, and closes the connection, when they do not all come or are none.
    """
    if connection.compression_context is not None:
        return [connection.receive_message(id) for id in ids]
    try:
        timeout = connection.conn.gettimeout()
        connection.conn.settimeout(_LOOK_EVERY_S)
        replies = _replies(connection, ids, time.monotonic() + timeout if timeout else math.inf)
        connection.conn.settimeout(timeout)
    except BaseException as error:  # noqa: BLE001  # as pymongo does: nobody else may read the rest of a reply
        connection._raise_connection_failure(error)
    return replies


def _replies(connection: Any, ids: Sequence[int], deadline: float) -> list[_OpMsg]:
    replies = []
    arrived = b""
    for id in ids:
        while len(arrived) < _HEADER.size:
            arrived += _read(connection, deadline)
        length, _, answers, kind = _HEADER.unpack_from(arrived)
        if answers != id or kind != _OP_MSG or not _HEADER.size < length <= connection.max_message_size:
            raise ProtocolError(f"expected a reply to {id}, got {length} bytes of kind {kind} to {answers}")
        while len(arrived) < length:
            arrived += _read(connection, deadline)
        replies.append(_OpMsg.unpack(arrived[_HEADER.size : length]))
        arrived = arrived[length:]
    return replies


def _read(connection: Any, deadline: float) -> bytes:
    """What has arrived, at least a byte."""
    while True:
        try:
            read: bytes = connection.conn.get_conn.recv(_ROOM)
        except TimeoutError:
            if connection.cancel_context.cancelled:
                raise _OperationCancelled("operation cancelled") from None
            if time.monotonic() > deadline:
                raise
        else:
            if not read:
                raise OSError("connection closed")
            return read
