"""The mesh's own error for whatever drivers, servers and handlers raise."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import socket
from collections.abc import Iterable, Mapping
from typing import Final

import grpc
import nats.errors
import nats.js.errors
import pymongo.errors

from mesh.errors import (
    Aborted,
    DeadlineExceeded,
    Internal,
    MeshError,
    ResourceExhausted,
    TransientError,
    Unavailable,
    from_rpc_error,
)

_Classes = tuple[type[BaseException], ...]

# The order matters: nats' timeouts are `TimeoutError`s, a `TimeoutError` and a `ConnectionError` are `OSError`s.
_FOREIGN: Final[tuple[tuple[_Classes, type[TransientError]], ...]] = (
    ((asyncio.CancelledError, concurrent.futures.CancelledError), Unavailable),
    (
        (
            pymongo.errors.ExecutionTimeout,
            pymongo.errors.WTimeoutError,
            nats.errors.TimeoutError,
            TimeoutError,
        ),
        DeadlineExceeded,
    ),
    ((pymongo.errors.ConnectionFailure,), Unavailable),
    ((nats.errors.SlowConsumerError, nats.js.errors.TooManyStalledMsgsError), ResourceExhausted),
    (
        (
            nats.errors.ConnectionClosedError,
            nats.errors.ConnectionDrainingError,
            nats.errors.ConnectionReconnectingError,
            nats.errors.DrainTimeoutError,
            nats.errors.NoRespondersError,
            nats.errors.NoServersError,
            nats.errors.OutboundBufferLimitError,
            nats.errors.StaleConnectionError,
            nats.errors.UnexpectedEOF,
            nats.js.errors.NoStreamResponseError,
            nats.js.errors.ServiceUnavailableError,
            ConnectionError,
            socket.gaierror,
        ),
        Unavailable,
    ),
)

# https://github.com/mongodb/mongo/blob/r6.0.0/src/mongo/base/error_codes.yml
_MONGODB_CODES: Final[Mapping[int, type[TransientError]]] = {
    6: Unavailable,  # HostUnreachable
    7: Unavailable,  # HostNotFound
    24: Aborted,  # LockTimeout
    50: DeadlineExceeded,  # MaxTimeMSExpired
    64: DeadlineExceeded,  # WriteConcernFailed
    89: Unavailable,  # NetworkTimeout
    91: Unavailable,  # ShutdownInProgress
    112: Aborted,  # WriteConflict
    189: Unavailable,  # PrimarySteppedDown
    202: DeadlineExceeded,  # NetworkInterfaceExceededTimeLimit
    225: Aborted,  # TransactionTooOld
    246: Aborted,  # SnapshotUnavailable
    251: Aborted,  # NoSuchTransaction
    262: DeadlineExceeded,  # ExceededTimeLimit
    9001: Unavailable,  # SocketException
    10107: Unavailable,  # NotWritablePrimary
    11600: Unavailable,  # InterruptedAtShutdown
    11602: Unavailable,  # InterruptedDueToReplStateChange
    13435: Unavailable,  # NotPrimaryNoSecondaryOk
    13436: Unavailable,  # NotPrimaryOrSecondary
    14031: ResourceExhausted,  # OutOfDiskSpace
}
_MONGODB_LABELS: Final[Mapping[str, type[TransientError]]] = {
    "TransientTransactionError": Aborted,
    "UnknownTransactionCommitResult": Unavailable,
    "RetryableWriteError": Unavailable,
}
# https://github.com/nats-io/nats-server/blob/main/server/errors.json
_JETSTREAM_WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
_JETSTREAM_HTTP_CODES: Final[Mapping[int, type[TransientError]]] = {
    408: DeadlineExceeded,
    429: ResourceExhausted,
    503: Unavailable,
}
_ERRNO: Final[Mapping[int, type[TransientError]]] = {
    errno.ENOSPC: ResourceExhausted,
    errno.EDQUOT: ResourceExhausted,
    errno.EMFILE: ResourceExhausted,
    errno.ENFILE: ResourceExhausted,
    errno.EHOSTUNREACH: Unavailable,
    errno.ENETUNREACH: Unavailable,
    errno.EHOSTDOWN: Unavailable,
}


def classify(exc: BaseException) -> MeshError:
    """The mesh's own error for anything a handler or a driver raised.

    Texts of foreign exceptions are left out, they may quote a document. An exception raised `from` a transient
    one is transient too: service code may wrap what a driver said.
    """
    if isinstance(exc, MeshError):
        return exc
    if isinstance(exc, grpc.RpcError) and hasattr(exc, "trailing_metadata"):
        error = from_rpc_error(exc)
    else:
        cls = _transient_class(exc)
        error = cls(type(exc).__name__) if cls else _of_cause(exc)
    error.__cause__ = exc
    return error


def _of_cause(exc: BaseException) -> MeshError:
    if exc.__cause__ is not None:
        cause = classify(exc.__cause__)
        if cause.transient:
            return type(cause)(type(exc).__name__)
    return Internal(type(exc).__name__)


def _transient_class(exc: BaseException) -> type[TransientError] | None:
    for classes, error in _FOREIGN:
        if isinstance(exc, classes):
            return error
    if isinstance(exc, pymongo.errors.PyMongoError):
        return _of_mongodb(exc)
    if isinstance(exc, nats.js.errors.APIError):
        return _of_jetstream(exc)
    if isinstance(exc, OSError) and exc.errno is not None:
        return _ERRNO.get(exc.errno)
    return None


def _of_mongodb(exc: pymongo.errors.PyMongoError) -> type[TransientError] | None:
    for code in _mongodb_codes(exc):
        if code in _MONGODB_CODES:
            return _MONGODB_CODES[code]
    for label, error in _MONGODB_LABELS.items():
        if exc.has_error_label(label):
            return error
    return DeadlineExceeded if exc.timeout else None


def _mongodb_codes(exc: pymongo.errors.PyMongoError) -> Iterable[int]:
    if isinstance(exc, pymongo.errors.OperationFailure):
        details = exc.details or {}
        rows = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        for code in (exc.code, *(row.get("code") for row in rows)):
            if code is not None:
                yield code


def _of_jetstream(exc: nats.js.errors.APIError) -> type[TransientError] | None:
    if exc.err_code in _JETSTREAM_WRONG_LAST_SEQUENCE:
        return Aborted
    return _JETSTREAM_HTTP_CODES.get(exc.code or 0)
