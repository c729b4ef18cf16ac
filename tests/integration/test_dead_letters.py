"""Dead letters: a poison event stops nobody else, and an operator decides what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from lienthong.mesh.v1 import (
    DEAD_LETTER_STATE_RETRY,
    DropDeadLetterRequest,
    GetStatusRequest,
    ListDeadLettersRequest,
    RetryDeadLetterRequest,
)
from mesh.events import partition_of
from tests.hosts import Home, eventually, record_request, witness
from tests.trial.services import TrialService, WitnessService

Ask = Callable[[str, Any], Awaitable[Any]]
SAME_LINE = next(f"k{n}" for n in range(99) if partition_of(f"k{n}") == partition_of("a"))
"""A key whose events lie on the same line as those of `a`."""
OTHER_LINE = next(f"k{n}" for n in range(99) if partition_of(f"k{n}") != partition_of("a"))


class Illness:
    """Keys the witness cannot stand the sight of, until it is cured."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.sequences: set[int] = set()
        self.tries: list[int] = []

    def __call__(self, amount: Any, event: Any) -> None:
        if amount.key in self.keys or event.sequence in self.sequences:
            self.tries.append(event.sequence)
            raise ValueError(f"cannot stand {amount.note}")


@pytest.fixture
def illness() -> Illness:
    return Illness()


@pytest.fixture
async def host(home: Home, illness: Illness) -> Any:
    return await home.start(TrialService, witness(illness), runtime={"handler_attempts": 2})


@pytest.fixture
def ask(home: Home, host: Any) -> Ask:
    return home.node(host)


async def _dead(home: Home, count: int = 1) -> list[dict[str, Any]]:
    """The letters, once there are that many."""
    return await eventually(lambda: letters if len(letters := home.letters()) >= count else None)


async def _retry(ask: Ask, letter: dict[str, Any]) -> Any:
    return await ask("RetryDeadLetter", RetryDeadLetterRequest(service="witness", id=letter["_id"]))


async def _drop(ask: Ask, letter: dict[str, Any]) -> Any:
    return await ask("DropDeadLetter", DropDeadLetterRequest(service="witness", id=letter["_id"]))


# --- how an event becomes one ---------------------------------------------------------------------------------------


async def test_after_five_failures_an_event_becomes_a_dead_letter_with_its_error(home: Home, illness: Illness) -> None:
    host = await home.start(TrialService, witness(illness))
    illness.keys.add("a")

    await home.trial(host).record("a", note="citizen 123")

    [letter] = await _dead(home)
    assert len(illness.tries) == 5
    assert (letter["state"], letter["key"], letter["sequence"], letter["attempts"]) == ("DEAD", "a", 1, 5)
    assert "ValueError" in letter["error"]
    assert "citizen" not in letter["error"]
    assert letter["type"] == "trial.v1.AmountRecorded"


async def test_other_keys_of_the_line_and_other_lines_go_on(home: Home, host: Any, illness: Illness) -> None:
    illness.keys.add("a")
    trial = home.trial(host)

    await trial.record("a")
    await trial.record_many(record_request(key) for key in [SAME_LINE, OTHER_LINE] * 20)

    await _dead(home)
    await eventually(lambda: len(home.seen(SAME_LINE)) == len(home.seen(OTHER_LINE)) == 20)
    assert home.seen(SAME_LINE) == home.logged(SAME_LINE)


async def test_later_events_of_the_same_key_wait_behind_it(home: Home, host: Any, illness: Illness) -> None:
    illness.sequences.add(1)
    trial = home.trial(host)

    await trial.record("a")
    await _dead(home)
    for _ in range(3):
        await trial.record("a")
    await trial.record(SAME_LINE)

    letters = await _dead(home, 4)
    await eventually(lambda: home.seen(SAME_LINE) == [5])
    assert [letter["state"] for letter in letters] == ["DEAD", "WAITING", "WAITING", "WAITING"]
    assert home.seen("a") == []


async def test_events_wait_also_when_they_arrive_with_the_poison(home: Home, host: Any, illness: Illness) -> None:
    illness.sequences.add(3)

    for _ in range(6):
        await home.trial(host).record("a")

    letters = await _dead(home, 4)
    assert [letter["sequence"] for letter in letters] == [3, 4, 5, 6]
    assert home.seen("a") == [1, 2]


async def test_a_restart_remembers_who_waits(home: Home, host: Any, illness: Illness) -> None:
    illness.sequences.add(1)
    await home.trial(host).record("a")
    await _dead(home)

    host = await home.restart(host)
    await home.trial(host).record("a")

    letters = await _dead(home, 2)
    assert [letter["state"] for letter in letters] == ["DEAD", "WAITING"]
    assert home.seen("a") == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ce-type": "trial.v1.AmountRecorded", "data": b"\xff\xff"}, "payload"),
        ({"ce-source": "nowhere"}, "ce-source"),
        ({"ce-time": "yesterday"}, "ce-time"),
        ({"ce-specversion": "0.3"}, "ce-specversion"),
        ({"ce-type": ""}, "ce-type"),
    ],
    ids=["payload", "source", "time", "version", "type"],
)
async def test_an_event_that_cannot_be_decoded_becomes_a_dead_letter_at_once(
    home: Home, change: dict[str, Any], reason: str
) -> None:
    host = await home.start(TrialService, runtime={"workers": 4})
    await home.trial(host).record_many(record_request("a") for _ in range(3))
    await home.published(3)
    await home.stop(host)
    [_, second, _] = home.log()
    data = change.pop("data", second["data"])
    headers = {**second["headers"], **change}
    home.database("trial")["log"].update_one({"_id": 2}, {"$set": {"headers": headers, "data": data}})
    await (await home.jetstream()).delete_stream(home.stream())

    host = await home.start(TrialService, WitnessService)

    dead, behind = await _dead(home, 2)
    assert (dead["sequence"], dead["state"], dead["attempts"]) == (2, "DEAD", 1)
    assert "UNDECODABLE_EVENT" in dead["error"]
    assert reason in dead["error"]
    assert (behind["sequence"], behind["state"]) == (3, "WAITING")
    assert home.seen("a") == [1]


async def test_a_message_that_is_no_event_becomes_a_dead_letter_and_stops_nothing(home: Home) -> None:
    """Somebody publishes straight to the stream: nothing of ours, and no number on its line."""
    host = await home.start(TrialService, WitnessService)
    trial = home.trial(host)
    await trial.record("a")
    await eventually(lambda: home.seen("a") == [1])
    await home.stop(host)
    subject = f"events.{home.locality}.trial.amount.{partition_of('a')}"
    await (await home.jetstream()).publish(subject, b"hello")

    host = await home.start(TrialService, WitnessService)
    await home.trial(host).record("a")

    [letter] = await _dead(home)
    assert "ce-sequence" in letter["error"]
    await eventually(lambda: home.seen("a")[:1] == [1] and len(home.seen("a")) == 2)


# --- what operators may do ------------------------------------------------------------------------------------------


async def test_a_retry_runs_the_letter_and_those_that_wait_in_order(
    home: Home, host: Any, ask: Ask, illness: Illness
) -> None:
    illness.sequences.add(2)
    for _ in range(5):
        await home.trial(host).record("a")
    letters = await _dead(home, 4)
    illness.sequences.clear()

    answer = await _retry(ask, letters[0])

    assert answer.dead_letter.state == DEAD_LETTER_STATE_RETRY
    await eventually(lambda: home.seen("a") == [1, 2, 3, 4, 5])
    assert home.letters() == []
    await home.trial(host).record("a")
    await eventually(lambda: home.seen("a") == [1, 2, 3, 4, 5, 6])


async def test_the_effect_of_a_retry_is_committed_with_the_letters_removal(
    home: Home, host: Any, ask: Ask, illness: Illness
) -> None:
    illness.keys.add("a")
    await home.trial(host).record("a")
    [letter] = await _dead(home)
    illness.keys.clear()

    await _retry(ask, letter)
    await eventually(lambda: home.seen("a") == [1])

    effect = home.database("witness")["effects"].find_one({"sequence": 1})
    assert effect is not None
    assert effect["causation_id"] == letter["headers"]["ce-id"]
    assert home.letters() == []


async def test_a_retry_that_fails_again_leaves_the_letter_dead_and_the_others_waiting(
    home: Home, host: Any, ask: Ask, illness: Illness
) -> None:
    illness.sequences.add(1)
    trial = home.trial(host)
    await trial.record("a")
    await trial.record("a")
    letters = await _dead(home, 2)

    await _retry(ask, letters[0])

    await eventually(lambda: home.letters()[0]["attempts"] == letters[0]["attempts"] + 1)
    assert [letter["state"] for letter in home.letters()] == ["DEAD", "WAITING"]
    assert home.seen("a") == []


async def test_dropping_a_letter_releases_those_that_wait(home: Home, host: Any, ask: Ask, illness: Illness) -> None:
    illness.sequences.add(1)
    for _ in range(4):
        await home.trial(host).record("a")
    letters = await _dead(home, 4)

    await _drop(ask, letters[0])

    await eventually(lambda: home.seen("a") == [2, 3, 4])
    assert home.letters() == []
    await home.trial(host).record("a")
    await eventually(lambda: home.seen("a") == [2, 3, 4, 5])


async def test_a_second_poison_event_of_the_key_stops_the_release_there(
    home: Home, host: Any, ask: Ask, illness: Illness
) -> None:
    illness.sequences |= {1, 3}
    for _ in range(4):
        await home.trial(host).record("a")
    letters = await _dead(home, 4)

    await _drop(ask, letters[0])

    await eventually(lambda: home.seen("a") == [2])
    await eventually(lambda: [letter["state"] for letter in home.letters()] == ["DEAD", "WAITING"])
    illness.sequences.clear()
    await _retry(ask, home.letters()[0])
    await eventually(lambda: home.seen("a") == [2, 3, 4])


async def test_a_letter_that_waits_cannot_be_asked_for_before_the_one_it_waits_for(
    home: Home, host: Any, ask: Ask, illness: Illness
) -> None:
    illness.sequences.add(1)
    for _ in range(2):
        await home.trial(host).record("a")
    letters = await _dead(home, 2)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _retry(ask, letters[1])

    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_an_unknown_letter_is_not_found(home: Home, host: Any, ask: Ask) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _retry(ask, {"_id": "nothing"})

    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_retry_asked_for_while_nobody_listens_is_done_after_the_restart(
    home: Home, host: Any, ask: Ask, illness: Illness
) -> None:
    illness.keys.add("a")
    await home.trial(host).record("a")
    [letter] = await _dead(home)
    await home.stop(host)
    home.database("witness")["dead_letters"].update_one({"_id": letter["_id"]}, {"$set": {"state": "RETRY"}})
    illness.keys.clear()

    await home.start(TrialService, witness(illness))

    await eventually(lambda: home.seen("a") == [1])
    assert home.letters() == []


async def test_letters_are_listed_page_by_page_without_their_payload(
    home: Home, host: Any, ask: Ask, illness: Illness
) -> None:
    illness.keys |= {"a", SAME_LINE, OTHER_LINE}
    await home.trial(host).record_many(record_request(key) for key in illness.keys)
    await _dead(home, 3)
    found, token = [], ""

    while True:
        request = ListDeadLettersRequest(service="witness", page_size=2, page_token=token)
        page = await ask("ListDeadLetters", request)
        found += [letter.key for letter in page.dead_letters]
        token = page.next_page_token
        if not token:
            break

    assert sorted(found) == sorted(illness.keys)


async def test_status_counts_dead_letters_and_those_that_wait(
    home: Home, host: Any, ask: Ask, illness: Illness
) -> None:
    illness.sequences.add(1)
    for _ in range(3):
        await home.trial(host).record("a")
    await _dead(home, 3)

    status = await ask("GetStatus", GetStatusRequest(service="witness"))

    counts = [(each.dead_letters, each.parked_events) for each in status.subscriptions if "TRIAL" in each.stream]
    assert counts == [(1, 2)]
