"""Every error Lienthong raises or answers with.

MeshError
├── InvalidArgument      INVALID_ARGUMENT     BadRequest: each field and rule
├── NotFound             NOT_FOUND            ResourceInfo
├── AlreadyExists        ALREADY_EXISTS       ResourceInfo
├── FailedPrecondition   FAILED_PRECONDITION  PreconditionFailure: the allowed states
├── OutOfRange           OUT_OF_RANGE
├── Unauthenticated      UNAUTHENTICATED
├── PermissionDenied     PERMISSION_DENIED    ErrorInfo names scope or agreement
├── Unimplemented        UNIMPLEMENTED
├── Internal             INTERNAL
├── UndecodableEvent     DATA_LOSS
├── TransientError                            retried for ever, counts as no failure of a handler
│   ├── Aborted            ABORTED
│   ├── ResourceExhausted  RESOURCE_EXHAUSTED  RetryInfo
│   ├── Unavailable        UNAVAILABLE         RetryInfo, if known
│   └── DeadlineExceeded   DEADLINE_EXCEEDED
└── StartUpError                              the process does not start
    ├── ConfigurationError
    └── ContractError

Every status also carries an `ErrorInfo` with a reason and the domain `lienthong`. No text contains a value
of a field: texts reach logs and spans, and a value may be personal.
"""

# Names are those of the gRPC codes, which carry no suffix.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, cast

import grpc
from google.protobuf.any_pb2 import Any as PackedDetail
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN: Final = "lienthong"
STATUS_METADATA_KEY: Final = "grpc-status-details-bin"

# A gRPC peer refuses trailers beyond 8 KiB, and a refused trailer hides the error. The text travels twice
# (percent-encoded, where one Vietnamese letter takes nine bytes, and in the status), so both are bounded.
MAX_MESSAGE_CHARS: Final = 400
MAX_DETAIL_BYTES: Final = 3000
_VIOLATIONS_IN_MESSAGE: Final = 5


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that breaks one rule of its contract."""

    field: str
    """Path from the request, as `readings[3].observed_at`."""
    rule: str
    """Name of the rule in `lienthong.mesh.v1.FieldRules`, as `max_len`."""
    description: str
    """What is expected. Never what was sent."""

    def __str__(self) -> str:
        return f"{self.field}: {self.description}"


@dataclass(slots=True)
class _Details:
    """`google.rpc` details of a status, unpacked."""

    info: error_details_pb2.ErrorInfo = field(default_factory=error_details_pb2.ErrorInfo)
    bad_request: error_details_pb2.BadRequest = field(default_factory=error_details_pb2.BadRequest)
    resource: error_details_pb2.ResourceInfo = field(default_factory=error_details_pb2.ResourceInfo)
    retry: error_details_pb2.RetryInfo | None = None

    @classmethod
    def unpack(cls, packed: Iterable[PackedDetail]) -> _Details:
        details = cls()
        for detail in packed:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                detail.Unpack(details.info)
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                detail.Unpack(details.bad_request)
            elif detail.Is(error_details_pb2.ResourceInfo.DESCRIPTOR):
                detail.Unpack(details.resource)
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                details.retry = error_details_pb2.RetryInfo()
                detail.Unpack(details.retry)
        return details

    def retry_after_s(self) -> float | None:
        return None if self.retry is None else self.retry.retry_delay.ToTimedelta().total_seconds()


class MeshError(Exception):
    """Root of the tree; raise one of its subclasses."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    reason: ClassVar[str] = "INTERNAL"
    transient: ClassVar[bool] = False
    """Whether trying again later may help although nobody changed anything."""

    def __init__(self, message: str = "") -> None:
        self.noted: dict[str, str] = {}
        self.message = self._cut(message)
        super().__init__(self.message)

    def note(self, **named: str) -> Self:
        """Adds to what the `ErrorInfo` says, as where to resume."""
        self.noted.update(named)
        return self

    def to_status(self) -> status_pb2.Status:
        """Status to answer with."""
        status = status_pb2.Status(code=self._number(), message=self.message)
        for detail in self._details():
            status.details.add().Pack(detail)
        return status

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Trailers that carry `to_status()`; `grpc.aio` has no `abort_with_status`."""
        return ((STATUS_METADATA_KEY, self.to_status().SerializeToString()),)

    def metadata(self) -> Mapping[str, str]:
        """What the `ErrorInfo` says beside the reason."""
        return {}

    @classmethod
    def _from_wire(cls, message: str, details: _Details) -> Self:
        return cls(message)

    @classmethod
    def _number(cls) -> int:
        return int(cls.code.value[0])

    @classmethod
    def _cut(cls, message: str) -> str:
        return message if len(message) <= MAX_MESSAGE_CHARS else message[: MAX_MESSAGE_CHARS - 1] + "…"

    def _details(self) -> Sequence[Message]:
        return (self._error_info(),)

    def _error_info(self) -> Message:
        named = {**self.metadata(), **self.noted}
        info: Message = error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=named)
        return info


class InvalidArgument(MeshError):
    """The request breaks its contract; nothing was written."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "INVALID_ARGUMENT"

    def __init__(self, violations: Iterable[Violation], message: str = "") -> None:
        self.violations = tuple(violations)
        super().__init__(message or self._describe(self.violations))

    @classmethod
    def field(cls, path: str, description: str, *, rule: str = "invalid") -> Self:
        """Refuses one field."""
        return cls([Violation(path, rule, description)])

    @staticmethod
    def _describe(violations: Sequence[Violation]) -> str:
        shown = "; ".join(str(violation) for violation in violations[:_VIOLATIONS_IN_MESSAGE])
        rest = len(violations) - _VIOLATIONS_IN_MESSAGE
        return f"{shown}; and {rest} more" if rest > 0 else shown

    def _details(self) -> Sequence[Message]:
        bad_request = error_details_pb2.BadRequest()
        room = MAX_DETAIL_BYTES
        for violation in self.violations:
            row = error_details_pb2.BadRequest.FieldViolation(
                field=violation.field, description=violation.description, reason=violation.rule.upper()
            )
            room -= row.ByteSize()
            if room < 0:
                break
            bad_request.field_violations.append(row)
        return (bad_request, self._error_info())

    @classmethod
    def _from_wire(cls, message: str, details: _Details) -> Self:
        rows = details.bad_request.field_violations
        return cls([Violation(row.field, row.reason.lower(), row.description) for row in rows], message)


class _ResourceError(MeshError):
    """An error about one resource."""

    says: ClassVar[str]

    def __init__(self, resource_type: str, resource_id: str, message: str = "") -> None:
        self.resource_type = resource_type
        self.resource_id = resource_id
        super().__init__(message or f"{resource_type} {resource_id[:64]!r} {self.says}")

    def _details(self) -> Sequence[Message]:
        resource = error_details_pb2.ResourceInfo(
            resource_type=self.resource_type, resource_name=self.resource_id[:256], description=self.says
        )
        return (resource, self._error_info())

    @classmethod
    def _from_wire(cls, message: str, details: _Details) -> Self:
        return cls(details.resource.resource_type, details.resource.resource_name, message)


class NotFound(_ResourceError):
    """There is no such resource. `resource_id` is shown: it must be an opaque id."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "NOT_FOUND"
    says = "does not exist"


class AlreadyExists(_ResourceError):
    """The resource, or the `request_id` with other content, is already there."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"
    says = "already exists with other content"


class FailedPrecondition(MeshError):
    """The resource is in a state that forbids this."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"

    def __init__(self, message: str, allowed: Iterable[str] = ()) -> None:
        self.allowed = tuple(allowed)
        super().__init__(message)

    def metadata(self) -> Mapping[str, str]:
        """The allowed states."""
        return {"allowed": ",".join(self.allowed)} if self.allowed else {}

    def _details(self) -> Sequence[Message]:
        described = self.message
        if self.allowed:
            described = f"allowed: {', '.join(self.allowed)}"
        failure = error_details_pb2.PreconditionFailure()
        failure.violations.add(type="STATE", description=described)
        return (failure, self._error_info())

    @classmethod
    def _from_wire(cls, message: str, details: _Details) -> Self:
        return cls(message, tuple(filter(None, details.info.metadata["allowed"].split(","))))


class OutOfRange(MeshError):
    """What was asked for lies outside of what is kept."""

    code = grpc.StatusCode.OUT_OF_RANGE
    reason = "OUT_OF_RANGE"


class Unauthenticated(MeshError):
    """No token, or one that proves nothing here."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDenied(MeshError):
    """The caller is known and may not. Names the scope or the agreement that is missing."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"

    def __init__(self, message: str, *, scope: str = "", agreement: str = "") -> None:
        self.scope = scope
        self.agreement = agreement
        super().__init__(message)

    def metadata(self) -> Mapping[str, str]:
        """What is missing."""
        named = {"scope": self.scope, "agreement": self.agreement}
        return {name: value for name, value in named.items() if value}

    @classmethod
    def _from_wire(cls, message: str, details: _Details) -> Self:
        named = details.info.metadata
        return cls(message, scope=named["scope"], agreement=named["agreement"])


class Unimplemented(MeshError):
    """The peer has no such method."""

    code = grpc.StatusCode.UNIMPLEMENTED
    reason = "UNIMPLEMENTED"


class Internal(MeshError):
    """A defect. The message names the class of the original exception, which is `__cause__`."""


class UndecodableEvent(MeshError):
    """A message on the bus that is no event of a known contract."""

    code = grpc.StatusCode.DATA_LOSS
    reason = "UNDECODABLE_EVENT"


class TransientError(MeshError):
    """Trying again later may help. Carries how long to wait, if the refusing side said so."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "UNAVAILABLE"
    transient = True

    def __init__(self, message: str = "", retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)

    def _details(self) -> Sequence[Message]:
        if self.retry_after_s is None:
            return (self._error_info(),)
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(self.retry_after_s * 1e9))
        return (retry, self._error_info())

    @classmethod
    def _from_wire(cls, message: str, details: _Details) -> Self:
        return cls(message, details.retry_after_s())


class Aborted(TransientError):
    """Lost against a concurrent change, or the revision given is stale."""

    code = grpc.StatusCode.ABORTED
    reason = "ABORTED"


class ResourceExhausted(TransientError):
    """Too much, too fast."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "RESOURCE_EXHAUSTED"


class Unavailable(TransientError):
    """Broker, database or peer is away."""


class DeadlineExceeded(TransientError):
    """Not done in time; whether it took effect is not known."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class StartUpError(MeshError):
    """The process does not start before somebody changes something. Its text is for a screen and is not cut."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "START_UP"

    @classmethod
    def _cut(cls, message: str) -> str:
        return message


class ConfigurationError(StartUpError):
    """A setting is unknown, missing or invalid; the message names it."""

    reason = "CONFIGURATION"


class ContractError(StartUpError):
    """A contract in `protos/` or a service that should fulfil it is wrong; the message names it."""

    reason = "CONTRACT"


_CLASSES: Final[tuple[type[MeshError], ...]] = (
    InvalidArgument,
    NotFound,
    AlreadyExists,
    FailedPrecondition,
    OutOfRange,
    Unauthenticated,
    PermissionDenied,
    Unimplemented,
    Internal,
    UndecodableEvent,
    Aborted,
    ResourceExhausted,
    Unavailable,
    DeadlineExceeded,
)
_BY_CODE: Final[Mapping[int, type[MeshError]]] = {
    **{cls._number(): cls for cls in _CLASSES},
    # A server that stops cancels what it still runs: for the caller that is a peer gone away.
    1: Unavailable,
}


def from_status(status: status_pb2.Status) -> MeshError:
    """The error a status stands for. Codes without a class of their own become `Internal`."""
    cls = _BY_CODE.get(status.code, Internal)
    details = _Details.unpack(status.details)
    error = cls._from_wire(status.message, details)
    own = error.metadata()
    # Asked for a name it lacks, a protobuf map keeps it, with an empty value.
    return error.note(**{name: value for name, value in details.info.metadata.items() if value and name not in own})


def from_rpc_error(error: grpc.RpcError) -> MeshError:
    """The error a failed call stands for, with its details if the server sent any."""
    call = cast("grpc.Call", error)
    for key, value in call.trailing_metadata() or ():
        if key == STATUS_METADATA_KEY:
            try:
                return from_status(status_pb2.Status.FromString(cast(bytes, value)))
            except DecodeError:
                break
    number = int(call.code().value[0])
    return from_status(status_pb2.Status(code=number, message=call.details() or ""))
