"""The error tree: each error has one status, each status one error, and nothing personal is said."""

import asyncio
import concurrent.futures
import errno
import inspect
import socket

import grpc
import nats.errors
import nats.js.errors
import pymongo.errors
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from mesh import errors
from mesh.errors import (
    Aborted,
    AlreadyExists,
    ConfigurationError,
    ContractError,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    MeshError,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    UndecodableEvent,
    Unimplemented,
    Violation,
    from_rpc_error,
    from_status,
)
from mesh.foreign_errors import classify

ANSWERS = [
    InvalidArgument([Violation("station.id", "required", "must not be empty")]),
    NotFound("station", "dn-01"),
    AlreadyExists("request_id", "r-1"),
    FailedPrecondition("the agreement is REVOKED", allowed=("ACTIVE", "SUSPENDED")),
    OutOfRange("position 3 is below 7").note(cursor="AAAA"),
    Unauthenticated("no token"),
    PermissionDenied("the token lacks scope health.read", scope="health.read"),
    PermissionDenied("no active agreement", agreement="dn-hue-air-1"),
    Unimplemented("no such method"),
    Internal("ValueError"),
    UndecodableEvent("ce-time has no offset"),
    Aborted("the revision is stale"),
    ResourceExhausted("too many calls", retry_after_s=1.5),
    Unavailable("the database is away"),
    Unavailable("the peer is away", retry_after_s=0.25),
    DeadlineExceeded("no answer in time"),
]
START_UP = {ConfigurationError, ContractError, errors.StartUpError}
ABSTRACT = {MeshError, errors.TransientError, errors._ResourceError}


def error_classes() -> set[type[MeshError]]:
    return {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, MeshError)} - ABSTRACT


@pytest.mark.parametrize("error", ANSWERS, ids=repr)
def test_an_error_survives_the_way_over_the_wire(error: MeshError) -> None:
    """What a client catches is what the server raised, with everything it said."""
    received = from_status(status_pb2.Status.FromString(error.to_status().SerializeToString()))

    assert type(received) is type(error)
    assert vars(received) == vars(error)


def test_every_class_that_can_be_answered_is_among_the_answers_tested() -> None:
    assert error_classes() - START_UP == {type(error) for error in ANSWERS}


@pytest.mark.parametrize("cls", sorted(error_classes(), key=lambda cls: cls.__name__))
def test_the_drawing_names_every_class_with_its_status(cls: type[MeshError]) -> None:
    drawing = next(line for line in (errors.__doc__ or "").splitlines() if f" {cls.__name__}" in line)

    assert cls in START_UP or cls is errors.TransientError or cls.code.name in drawing


@pytest.mark.parametrize("error", ANSWERS, ids=repr)
def test_every_status_names_a_reason_in_our_domain(error: MeshError) -> None:
    info = error_details_pb2.ErrorInfo()

    found = [detail for detail in error.to_status().details if detail.Unpack(info)]

    assert len(found) == 1
    assert (info.domain, info.reason) == ("lienthong", error.reason)


def test_only_four_errors_are_transient() -> None:
    transient = {cls for cls in error_classes() if cls.transient}

    assert transient == {Aborted, ResourceExhausted, Unavailable, DeadlineExceeded}


def test_a_request_with_many_violations_still_fits_into_trailers() -> None:
    """A peer refuses trailers of more than 8 KiB, and then nobody learns what was wrong."""
    violations = [Violation(f"readings[{n}].station_id", "required", "không được để trống") for n in range(500)]

    error = InvalidArgument(violations)

    [(key, value)] = error.trailing_metadata()
    assert key == "grpc-status-details-bin"
    assert len(value) < 5000
    received = from_status(status_pb2.Status.FromString(value))
    assert isinstance(received, InvalidArgument)
    assert received.violations[0] == violations[0]
    assert "and 495 more" in received.message


def test_a_long_text_is_cut_but_not_one_that_only_a_screen_shows() -> None:
    assert len(Internal("ở" * 5000).message) == errors.MAX_MESSAGE_CHARS
    assert len(ConfigurationError("ở" * 5000).message) == 5000


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda c: c.name
)
def test_every_grpc_code_becomes_an_error(code: grpc.StatusCode) -> None:
    """Also those a server of somebody else answers with, without details."""
    error = from_status(status_pb2.Status(code=code.value[0], message="why"))

    assert error.message == "why"
    unknown = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}
    assert error.code is code or code in unknown


def test_details_of_somebody_else_are_passed_over() -> None:
    status = status_pb2.Status(code=5, message="gone")
    status.details.append(Any(type_url="type.googleapis.com/acme.Detail", value=b"\xff"))

    assert isinstance(from_status(status), NotFound)


class _Call(grpc.RpcError):
    def __init__(self, error: MeshError, metadata: tuple[tuple[str, bytes], ...] | None) -> None:
        self._error = error
        self._metadata = metadata

    def code(self) -> grpc.StatusCode:
        return self._error.code

    def details(self) -> str:
        return self._error.message

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...] | None:
        return self._metadata


def test_a_failed_call_becomes_the_error_its_trailers_describe() -> None:
    sent = NotFound("station", "dn-01")

    received = from_rpc_error(_Call(sent, (("x", b"y"), *sent.trailing_metadata())))

    assert isinstance(received, NotFound)
    assert received.resource_id == "dn-01"


@pytest.mark.parametrize("metadata", [None, (), (("grpc-status-details-bin", b"\xff\xff"),)])
def test_a_failed_call_without_readable_trailers_becomes_the_error_of_its_code(
    metadata: tuple[tuple[str, bytes], ...] | None,
) -> None:
    received = from_rpc_error(_Call(Unavailable("connection refused"), metadata))

    assert isinstance(received, Unavailable)
    assert received.message == "connection refused"


def test_grpc_status_reads_our_trailers() -> None:
    """Clients in other languages use their own form of this library."""
    sent = FailedPrecondition("the agreement is REVOKED", allowed=("ACTIVE",))

    status = rpc_status.from_call(_Call(sent, sent.trailing_metadata()))

    failure = error_details_pb2.PreconditionFailure()
    assert status is not None
    assert any(detail.Unpack(failure) for detail in status.details)
    assert failure.violations[0].description == "allowed: ACTIVE"


def mongodb(code: int, *, labels: tuple[str, ...] = ()) -> pymongo.errors.OperationFailure:
    return pymongo.errors.OperationFailure("Nguyễn Văn A", code, {"errorLabels": list(labels)})


def jetstream(code: int, err_code: int = 0) -> nats.js.errors.APIError:
    return nats.js.errors.APIError(code=code, err_code=err_code, description="Nguyễn Văn A")


FOREIGN: list[tuple[BaseException, type[MeshError]]] = [
    (pymongo.errors.AutoReconnect(), Unavailable),
    (pymongo.errors.NetworkTimeout(), Unavailable),
    (pymongo.errors.NotPrimaryError(), Unavailable),
    (pymongo.errors.ServerSelectionTimeoutError(), Unavailable),
    (pymongo.errors.ConnectionFailure(), Unavailable),
    (pymongo.errors.WaitQueueTimeoutError(), Unavailable),
    (pymongo.errors.ExecutionTimeout("Nguyễn Văn A", 50), DeadlineExceeded),
    (pymongo.errors.WTimeoutError("Nguyễn Văn A", 64), DeadlineExceeded),
    (mongodb(112), Aborted),
    (mongodb(251, labels=("TransientTransactionError",)), Aborted),
    (mongodb(1, labels=("TransientTransactionError",)), Aborted),
    (mongodb(1, labels=("UnknownTransactionCommitResult",)), Unavailable),
    (mongodb(91), Unavailable),
    (mongodb(11600), Unavailable),
    (mongodb(10107), Unavailable),
    (mongodb(14031), ResourceExhausted),
    (mongodb(2), Internal),
    (pymongo.errors.BulkWriteError({"writeErrors": [{"code": 112, "errmsg": "x"}]}), Aborted),
    (pymongo.errors.DuplicateKeyError("Nguyễn Văn A", 11000), Internal),
    (pymongo.errors.InvalidDocument("Nguyễn Văn A"), Internal),
    (nats.errors.TimeoutError(), DeadlineExceeded),
    (nats.errors.ConnectionClosedError(), Unavailable),
    (nats.errors.ConnectionDrainingError(), Unavailable),
    (nats.errors.ConnectionReconnectingError(), Unavailable),
    (nats.errors.DrainTimeoutError(), DeadlineExceeded),
    (nats.errors.NoRespondersError(), Unavailable),
    (nats.errors.NoServersError(), Unavailable),
    (nats.errors.OutboundBufferLimitError(), Unavailable),
    (nats.errors.StaleConnectionError(), Unavailable),
    (nats.errors.SlowConsumerError("s", "r", 1, None), ResourceExhausted),  # type: ignore[arg-type]
    (nats.js.errors.NoStreamResponseError(), Unavailable),
    (nats.js.errors.FetchTimeoutError(), DeadlineExceeded),
    (nats.js.errors.ServiceUnavailableError(code=503, err_code=10008, description="x"), Unavailable),
    (jetstream(503), Unavailable),
    (jetstream(429), ResourceExhausted),
    (jetstream(408), DeadlineExceeded),
    (jetstream(400, 10071), Aborted),
    (jetstream(404, 10059), Internal),
    (TimeoutError(), DeadlineExceeded),
    (TimeoutError(), DeadlineExceeded),
    (concurrent.futures.TimeoutError(), DeadlineExceeded),
    (asyncio.CancelledError(), Unavailable),
    (concurrent.futures.CancelledError(), Unavailable),
    (ConnectionRefusedError(), Unavailable),
    (ConnectionResetError(), Unavailable),
    (BrokenPipeError(), Unavailable),
    (socket.gaierror(-2, "x"), Unavailable),
    (OSError(errno.ENOSPC, "x"), ResourceExhausted),
    (OSError(errno.EHOSTUNREACH, "x"), Unavailable),
    (OSError(errno.ENOENT, "x"), Internal),
    (FileNotFoundError("Nguyễn Văn A"), Internal),
    (grpc.RpcError(), Internal),
    (_Call(NotFound("station", "dn-01"), None), NotFound),
    (_Call(Unavailable("x"), None), Unavailable),
    (ValueError("Nguyễn Văn A"), Internal),
    (KeyError("Nguyễn Văn A"), Internal),
    (AssertionError(), Internal),
]


@pytest.mark.parametrize(
    ("foreign", "expected"), FOREIGN, ids=lambda value: getattr(value, "__name__", type(value).__name__)
)
def test_what_a_driver_raises_becomes_an_error_of_ours(foreign: BaseException, expected: type[MeshError]) -> None:
    error = classify(foreign)

    assert type(error) is expected
    assert error.__cause__ is foreign
    assert "Nguyễn" not in error.message


@pytest.mark.parametrize("library", [pymongo.errors, nats.errors, nats.js.errors])
def test_an_error_that_names_connection_timeout_or_unavailability_is_never_a_defect(library: object) -> None:
    """A new version of a driver may bring a new one; it must not end in a dead letter unseen."""
    words = ("Timeout", "Connection", "Reconnect", "Unavailable", "Stale", "NoServers", "NotPrimary", "Responders")
    classes = [
        cls
        for name, cls in inspect.getmembers(library, inspect.isclass)
        if issubclass(cls, Exception) and any(word in name for word in words) and cls is not nats.errors.BadTimeoutError
    ]

    assert classes
    for cls in classes:
        assert classify(cls.__new__(cls)).transient, cls


def test_an_error_of_ours_is_left_as_it_is() -> None:
    error = NotFound("station", "dn-01")

    assert classify(error) is error


def test_a_wrapped_transient_error_stays_transient() -> None:
    """Service code may say what it was doing when the database went away."""
    wrapper = RuntimeError("while reading")
    wrapper.__cause__ = pymongo.errors.AutoReconnect()

    assert type(classify(wrapper)) is Unavailable
    assert classify(wrapper).__cause__ is wrapper


def test_a_wrapped_defect_stays_a_defect() -> None:
    wrapper = RuntimeError()
    wrapper.__cause__ = NotFound("station", "dn-01")

    assert type(classify(wrapper)) is Internal
