"""Transactions that end in a known way: conflicts, restarts and an unknown commit result are survived here."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, InvalidOperation, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from mesh.counter import COUNTER, PROGRESS
from mesh.errors import Unavailable
from mesh.pipeline import Pipeline
from mesh.unit import Raw

_logger = logging.getLogger(__name__)

_DURABLE = WriteConcern(w="majority", j=True)
_SNAPSHOT = ReadConcern("snapshot")
_INTERRUPTED = 11601
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.01, 1.0

T = TypeVar("T")


class TryAgain(Exception):
    """What `transact` raises to be run again at once, in a new transaction."""


class Transactions:
    """Runs the transactions of one service, one at a time, all on one thread."""

    def __init__(self, database: Database[Raw], *, service: str, on_session: Callable[[Raw], None]) -> None:
        self._database = database
        self._service = service
        self._on_session = on_session
        self._session: ClientSession | None = None
        self.give_up_at = math.inf
        """Monotonic time from which nothing is tried again: a process that stops does not wait for ever."""

    def run(self, transact: Callable[[Pipeline, str], tuple[bool, T]]) -> T:
        """Runs a transaction until it has committed; returns what it returned.

        ``transact`` says whether there is anything to commit. It is given a batch id to push to the counter
        document: after an unknown result that decides whether it was committed, before anything runs again.
        """
        backoff = _FIRST_BACKOFF_S
        while True:
            batch_id = uuid.uuid4().hex
            try:
                session = self._begin()
                with Pipeline.of(session) as pipeline:
                    anything, result = transact(pipeline, batch_id)
                    done = anything and _commit(pipeline)
                if not anything:
                    session.abort_transaction()
                    return result
                if done or self._finish(session, batch_id):
                    return result
            except TryAgain:
                self._abort()
                continue
            except PyMongoError as error:
                self._abandon()
                if not _transient(error):
                    raise
                _logger.warning("%s: a commit is tried again: %s", self._service, type(error).__name__)
                self._may_try_again()
            except Exception:
                self._abandon()  # such as a document that cannot be encoded; the session is still in its transaction
                raise
            time.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_S)

    def _begin(self) -> ClientSession:
        if self._session is None:
            session = self._database.client.start_session()
            self._on_session(dict(session.session_id))
            self._session = session
        self._session.start_transaction(read_concern=_SNAPSHOT, write_concern=_DURABLE)
        return self._session

    def _abort(self) -> None:
        """Ends the transaction and keeps its session."""
        try:
            if self._session is not None and self._session.in_transaction:
                self._session.abort_transaction()
        except PyMongoError:
            self._abandon()

    def _abandon(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            if session.in_transaction:
                session.abort_transaction()
            session.end_session()
        except (PyMongoError, InvalidOperation):
            _logger.debug("%s: an abandoned session could not be ended", self._service, exc_info=True)

    def _finish(self, session: ClientSession, batch_id: str) -> bool:
        """Ends a commit that may have happened. Returns whether it did; never without knowing."""
        backoff = _FIRST_BACKOFF_S
        while True:
            self._may_try_again()
            time.sleep(backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF_S)
            try:
                session.commit_transaction()
                return True
            except PyMongoError as error:
                if not _unknown(error):
                    return self._resolve(batch_id)

    def _resolve(self, batch_id: str) -> bool:
        """Says whether a batch was committed. The write is a barrier: it conflicts with a transaction still open."""
        while True:
            try:
                counter = self._database[PROGRESS].find_one_and_update(
                    {"_id": COUNTER}, {"$inc": {"barriers": 1}}, projection={"batches": 1}
                )
                self._abandon()
                return batch_id in (counter or {}).get("batches", ())
            except PyMongoError as error:
                name = type(error).__name__
                _logger.warning("%s: an unknown commit result waits for the database: %s", self._service, name)
                self._may_try_again()
                time.sleep(_LONGEST_BACKOFF_S)

    def _may_try_again(self) -> None:
        if time.monotonic() > self.give_up_at:
            raise Unavailable("the process stops while the database is away")


def _commit(pipeline: Pipeline) -> bool:
    """Commits; whether that is known to have happened. Raises what it was refused for."""
    try:
        pipeline.commit()
    except PyMongoError as error:
        if not _unknown(error):
            raise
        return False
    return True


def _transient(error: PyMongoError) -> bool:
    return error.has_error_label("TransientTransactionError") or _lost(error)


def _unknown(error: PyMongoError) -> bool:
    """Whether a commit that failed this way may have happened."""
    return error.has_error_label("UnknownTransactionCommitResult") or _lost(error)


def _lost(error: PyMongoError) -> bool:
    """Whether the connection broke, or another process ended our session, as it does with those it takes for dead."""
    return isinstance(error, ConnectionFailure) or (isinstance(error, OperationFailure) and error.code == _INTERRUPTED)
