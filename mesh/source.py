"""Where a subscription reads: a stream, and the log behind it that fills its holes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from nats.aio.msg import Msg

from mesh.marks import Start
from mesh.relay import line_of


@dataclass(frozen=True, slots=True)
class Refilled:
    """What a log answers about one line."""

    deliveries: list[Delivery]
    """Contiguous or not, in order of sequence."""
    head: int
    """Highest sequence ever given on the line."""


class LogBehind(Protocol):
    """The log a stream is copied from, in this process or another."""

    async def begin(self, everything: bool) -> Start:
        """Where a subscription declared now begins: at the present heads, or at the log's floor."""

    async def heads(self) -> Mapping[str, int] | None:
        """Highest sequence of each line; ``None`` where that is not known here."""

    async def announce(self, position: int, sequences: Mapping[str, int]) -> None:
        """Tells how far the subscriber has come, so that a log restored from an older copy repeats no number."""

    async def refill(self, line: str, after_sequence: int, limit: int) -> Refilled:
        """Reads a line from the log. Raises a transient error while it cannot be reached."""


@dataclass(frozen=True, slots=True)
class Source:
    """One stream a subscription reads."""

    stream: str
    subject: str
    """Filter with ``{partition}`` in place of the last token."""
    log: LogBehind
    owner: str = ""
    """Service whose stream it is; empty for one of the reader's own."""
    accepts: Callable[[Delivery], bool] = lambda delivery: True
    """Whether a delivery may move the mark; any other is passed over, as if it were not in the stream."""

    def filter(self, partition: int) -> str:
        """Subject filter of one partition."""
        return self.subject.format(partition=partition)

    def subject_of(self, line: str) -> str:
        """Subject that carries a line in this stream."""
        prefix, tokens = self.subject.split("."), line.split("/")
        return ".".join([*prefix[: len(prefix) - len(tokens)], *tokens])

    def covers(self, line: str) -> bool:
        """Whether events of a line arrive through this source."""
        wanted, tokens = self.subject.split("."), self.subject_of(line).split(".")
        return len(wanted) == len(tokens) and all(
            pattern in ("*", "{partition}", token) for pattern, token in zip(wanted, tokens, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as it arrived, not yet decoded."""

    line: str
    sequence: int
    position: int
    """Stream sequence; 0 when it came from the log of another node, whose numbers differ."""
    headers: dict[str, str]
    data: bytes
    subject: str = ""
    pending: int = 0
    """Messages the broker still held behind this one when it sent it."""

    @property
    def type(self) -> str:
        return self.headers.get("ce-type", "")

    @property
    def key(self) -> str:
        return self.headers.get("ce-subject", "")


def delivery_of(msg: Msg) -> Delivery:
    """Reads what the broker says of a message; its sequence is 0 when it is no event."""
    headers = dict(msg.headers or {})
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<timestamp>.<pending>, with two more
    # tokens in front (domain, account) from newer servers (ADR-15 of the NATS architecture).
    tokens = msg.reply.split(".")
    return Delivery(
        line=line_of(msg.subject),
        sequence=sequence_of(headers),
        position=int(tokens[-4] if len(tokens) == 9 else tokens[7]),
        headers=headers,
        data=msg.data,
        subject=msg.subject,
        pending=int(tokens[-1] if len(tokens) == 9 else tokens[10]),
    )


def sequence_of(headers: Mapping[str, str]) -> int:
    """Number on the line, or 0 when the message has none."""
    number = headers.get("ce-sequence", "")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
