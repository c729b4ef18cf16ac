"""When a peer is left alone, and when it is asked again."""

import asyncio

import pytest

from mesh.breaker import Breaker, State
from mesh.errors import Aborted, DeadlineExceeded, NotFound, Unavailable


class Clock:
    """Seconds that pass when told."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("hue", failures=3, pause_s=1, longest_pause_s=4, now=clock)


def fail(breaker: Breaker, times: int, error: BaseException | None = None) -> None:
    for _ in range(times):
        breaker.enter()
        breaker.leave(error or Unavailable("refused"))


def test_a_few_failures_change_nothing(breaker: Breaker) -> None:
    fail(breaker, 2)

    breaker.enter()

    assert breaker.state is State.CLOSED


def test_an_answer_in_between_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.enter()
    breaker.leave(None)

    fail(breaker, 2, DeadlineExceeded("slow"))

    assert breaker.state is State.CLOSED


def test_too_many_failures_open_it_and_the_refusal_says_how_long(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.seconds = 0.25

    with pytest.raises(Unavailable, match="hue does not answer") as refused:
        breaker.enter()

    assert breaker.state is State.OPEN
    assert refused.value.retry_after_s == 0.75


def test_after_the_pause_one_call_tries_and_the_others_wait(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.seconds = 1

    breaker.enter()

    assert breaker.state is State.HALF_OPEN
    with pytest.raises(Unavailable):
        breaker.enter()


def test_a_try_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.seconds = 1
    breaker.enter()

    breaker.leave(None)

    assert breaker.state is State.CLOSED


def test_each_vain_try_doubles_the_pause_up_to_a_limit(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    pauses = []
    for _ in range(4):
        clock.seconds += 100
        fail(breaker, 1)
        with pytest.raises(Unavailable) as refused:
            breaker.enter()
        pauses.append(refused.value.retry_after_s)

    assert pauses == [2, 4, 4, 4]


@pytest.mark.parametrize("answer", [NotFound("station", "x"), Aborted("stale")])
def test_an_error_the_peer_answers_with_shows_that_it_is_there(breaker: Breaker, answer: Exception) -> None:
    fail(breaker, 10, answer)

    assert breaker.state is State.CLOSED


def test_a_try_its_caller_gave_up_lets_the_next_one_try(breaker: Breaker, clock: Clock) -> None:
    """Else a cancelled call would leave the peer alone for ever."""
    fail(breaker, 3)
    clock.seconds = 1
    breaker.enter()

    breaker.leave(asyncio.CancelledError())

    assert breaker.state is State.OPEN
    breaker.enter()
