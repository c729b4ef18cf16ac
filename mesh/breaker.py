"""Circuit breaker: stops asking a peer that does not answer, and finds out when it does again.

Kept libraries were looked at (pybreaker, circuitbreaker, aiobreaker, purgatory): they judge by exception class and wrap
a function, while here one gRPC code is a failure and another is an answer, and a refusal tells how long to wait.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable

from mesh.errors import DeadlineExceeded, MeshError, Unavailable


class State(enum.Enum):
    """Where a breaker stands."""

    CLOSED = "closed"
    """Calls go through."""
    OPEN = "open"
    """Calls are refused at once."""
    HALF_OPEN = "half-open"
    """One call is trying."""


class Breaker:
    """Counts failures of one peer. Used from one event loop."""

    def __init__(
        self,
        peer: str,
        *,
        failures: int = 5,
        pause_s: float = 1.0,
        longest_pause_s: float = 15.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens after `failures` in a row, first for `pause_s`, twice as long after each vain try."""
        self.peer = peer
        self._allowed = failures
        self._first_pause_s = pause_s
        self._longest_pause_s = longest_pause_s
        self._now = now
        self._failures = 0
        self._pause_s = pause_s
        self._try_at = 0.0
        self._trying = False

    @property
    def state(self) -> State:
        """Where it stands now."""
        if self._failures < self._allowed:
            return State.CLOSED
        return State.HALF_OPEN if self._trying else State.OPEN

    def enter(self) -> None:
        """Asks to make a call. Raises Unavailable, with the time to wait, while the peer is left alone."""
        if self.state is State.CLOSED:
            return
        wait_s = self._try_at - self._now()
        if self._trying or wait_s > 0:
            raise Unavailable(
                f"{self.peer} does not answer; not asked again yet", max(wait_s, self._first_pause_s / 10)
            )
        self._trying = True

    def leave(self, error: BaseException | None) -> None:
        """Tells how the call ended. An error the peer answered with shows that it is there."""
        self._trying, tried = False, self._trying
        if not is_failure(error):
            # A call given up by its own caller says nothing about the peer.
            if error is None or isinstance(error, MeshError):
                self._failures, self._pause_s = 0, self._first_pause_s
            return
        self._failures += 1
        if self._failures >= self._allowed:
            if tried:
                self._pause_s = min(self._pause_s * 2, self._longest_pause_s)
            self._try_at = self._now() + self._pause_s


def is_failure(error: BaseException | None) -> bool:
    """Whether a call failed because the peer was away or did not answer in time."""
    return isinstance(error, Unavailable | DeadlineExceeded)
