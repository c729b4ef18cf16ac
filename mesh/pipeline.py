"""Commands of one transaction, sent together: one round trip instead of one each.

pymongo waits for the answer to a command before it sends the next. MongoDB takes those of one connection in the order
in which they arrive and, once one of a transaction has failed, refuses the others; so nothing has to be waited for
between writes. Sending goes through pymongo's own connections and sessions, by private parts of it: its version is
pinned, and `tests/integration/test_commit.py` would notice (ADR-0012).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, OperationFailure
from pymongo.helpers_shared import _check_command_response
from pymongo.message import _op_msg

from mesh.unit import Raw

_DUPLICATE_KEY = 11000


def send(session: ClientSession, database: str, commands: Sequence[Raw]) -> list[Raw]:
    """Sends commands and returns their replies; the session is in a transaction.

    Raises what the first command that failed came to: `DuplicateKeyError`, `OperationFailure`, `ConnectionFailure`; and
    `DocumentTooLarge` before anything is sent.
    """
    client = session.client
    options = client.codec_options
    # An error quotes the key it is about and cuts it after 150 bytes, if need be in the middle of a letter.
    lenient = options.with_options(unicode_decode_error_handler="replace")
    with client._conn_for_writes(session, "pipeline") as connection:
        ids, messages, largest = [], [], 0
        for command in commands:
            session._apply_to(command, False, ReadPreference.PRIMARY, connection)
            if session._starting_transaction:
                session._transaction.set_in_progress()
            id, message, _, size = _op_msg(0, command, database, None, options, connection.compression_context)
            if len(message) > connection.max_message_size:
                raise DocumentTooLarge("more than MongoDB takes in one message")
            ids.append(id)
            messages.append(message)
            largest = max(largest, size)
        connection.send_message(b"".join(messages), largest)
        replies: list[Raw] = [connection.receive_message(id).command_response(lenient) for id in ids]
        for reply in replies:
            client._process_response(reply, session)
            _check_command_response(reply, connection.max_wire_version)
            if errors := reply.get("writeErrors"):
                raise _write_error(errors)
    return replies


def _write_error(errors: Sequence[dict[str, Any]]) -> OperationFailure:
    """The first of the errors, without its text: that may quote a document."""
    error = errors[0]
    kind = DuplicateKeyError if error["code"] == _DUPLICATE_KEY else OperationFailure
    return kind("a write failed", error["code"], {"index": error["index"], "code": error["code"]})
