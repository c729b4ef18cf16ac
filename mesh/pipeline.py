"""A transaction on one connection: its commands are sent together, one round trip instead of one each.

pymongo waits for the answer to a command before it sends the next. MongoDB takes those of one connection in the order
in which they arrive and, once one of a transaction has failed, refuses the others; so nothing has to be waited for
between writes. Sending goes through pymongo's own connections and sessions, by private parts of it: its version is
pinned, and `tests/integration/test_commit.py` would notice (ADR-0012).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.client_session_shared import _UNKNOWN_COMMIT_ERROR_CODES, _reraise_with_unknown_commit, _TxnState
from pymongo.errors import ConnectionFailure, DocumentTooLarge, DuplicateKeyError, OperationFailure, WTimeoutError
from pymongo.helpers_shared import _check_command_response
from pymongo.message import _op_msg

from mesh.replies import receive
from mesh.unit import Raw

_DUPLICATE_KEY = 11000
_OF_TRANSACTION = ("lsid", "txnNumber", "autocommit")
"""What every command of a transaction carries after its first."""


class Pipeline:
    """Sends the commands of a session's transaction over one connection, then its commit."""

    def __init__(self, session: ClientSession, checkout: Any, connection: Any) -> None:
        self.session = session
        self._checkout = checkout
        self._connection = connection
        self._options = session.client.codec_options
        # An error quotes the key it is about and cuts it after 150 bytes, if need be in the middle of a letter.
        self._lenient = self._options.with_options(unicode_decode_error_handler="replace")
        self._of_transaction: Raw = {}

    @classmethod
    @contextmanager
    def of(cls, session: ClientSession) -> Iterator[Pipeline]:
        """Takes a connection for a transaction that has been started; gives it back at the end of the block."""
        checkout = session.client._conn_for_writes(session, "pipeline")
        with checkout as connection:
            yield cls(session, checkout, connection)

    def send(self, database: str, commands: Sequence[Raw]) -> list[Raw]:
        """Sends commands and returns their replies.

        Raises what the first command that failed came to: `DuplicateKeyError`, `OperationFailure`,
        `ConnectionFailure`; and `DocumentTooLarge` before anything is sent.
        """
        replies = self._exchange(database, commands)
        for reply in replies:
            _check_command_response(reply, self._connection.max_wire_version)
            if errors := reply.get("writeErrors"):
                raise _write_error(errors)
        return replies

    def commit(self) -> None:
        """Commits. Tries once; labels its errors as `ClientSession.commit_transaction` does, which can be asked next.

        Raises `OperationFailure` or `ConnectionFailure`, labelled where the transaction may have been committed.
        """
        transaction = self.session._transaction
        assert transaction.opts is not None
        assert transaction.opts.write_concern is not None
        transaction.attempt += 1
        command = {"commitTransaction": 1, "writeConcern": transaction.opts.write_concern.document}
        try:
            [reply] = self._exchange("admin", [command])
            _check_command_response(reply, self._connection.max_wire_version, parse_write_concern_error=True)
        except ConnectionFailure as error:
            self._checkout.handle(type(error), error)
            error._remove_error_label("TransientTransactionError")
            _reraise_with_unknown_commit(error)
        except OperationFailure as error:
            if isinstance(error, WTimeoutError) or error.code in _UNKNOWN_COMMIT_ERROR_CODES:
                _reraise_with_unknown_commit(error)
            raise
        transaction.state = _TxnState.COMMITTED

    def _exchange(self, database: str, commands: Sequence[Raw]) -> list[Raw]:
        connection = self._connection
        ids, messages, largest = [], [], 0
        for command in commands:
            self._add_transaction(command)
            id, message, _, size = _op_msg(0, command, database, None, self._options, connection.compression_context)
            if len(message) > connection.max_message_size:
                raise DocumentTooLarge("more than MongoDB takes in one message")
            ids.append(id)
            messages.append(message)
            largest = max(largest, size)
        connection.send_message(b"".join(messages), largest)
        replies: list[Raw] = [reply.command_response(self._lenient) for reply in receive(connection, ids)]
        self.session.client._process_response(replies[-1], self.session)
        return replies

    def _add_transaction(self, command: Raw) -> None:
        if self._of_transaction:
            command.update(self._of_transaction)
            return
        session = self.session
        session._apply_to(command, False, ReadPreference.PRIMARY, self._connection)
        if session._starting_transaction:
            session._transaction.set_in_progress()
        self._of_transaction = {name: command[name] for name in _OF_TRANSACTION}


def _write_error(errors: Sequence[dict[str, Any]]) -> OperationFailure:
    """The first of the errors, without its text: that may quote a document."""
    error = errors[0]
    kind = DuplicateKeyError if error["code"] == _DUPLICATE_KEY else OperationFailure
    return kind("a write failed", error["code"], {"index": error["index"], "code": error["code"]})
