"""`request_id`: the same request again gets the first answer, whenever and however often it comes."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import grpc
import pytest

from mesh import rpc
from mesh.errors import FailedPrecondition
from tests.hosts import Home, eventually, record_request
from tests.trial.services import Total, TrialService


async def test_the_same_request_gets_the_first_answer_and_has_one_effect(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    first = await trial.record("a", 3, request_id="r1")
    await trial.record("a", 4)

    again = await trial.record("a", 3, request_id="r1")

    assert again == first
    assert await trial.total("a") == 7
    assert len(home.logged("a")) == 2


@pytest.mark.parametrize("ascii_letters", range(4))
async def test_the_same_long_request_id_in_any_script_gets_the_first_answer(home: Home, ascii_letters: int) -> None:
    """MongoDB cuts the key that its error quotes, now and then in the middle of a letter; no reader may mind."""
    host = await home.start(TrialService)
    trial = home.trial(host)
    request_id = "x" * ascii_letters + "𝒒" * 60
    first = await trial.record("a", 3, request_id=request_id)

    assert await trial.record("a", 3, request_id=request_id) == first


async def test_a_request_that_its_own_effect_now_forbids_gets_the_first_answer(home: Home) -> None:
    """As with a case that was closed: to close it again is refused, to repeat the request that closed it is not."""

    class Once(TrialService):
        @rpc
        def record(self, request):
            if self.store.get(Total, request.key):
                raise FailedPrecondition("the case is closed", allowed=("OPEN",))
            return super().record(request)

    host = await home.start(Once)
    trial = home.trial(host)
    first = await trial.record("a", 3, request_id="r1")

    assert await trial.record("a", 3, request_id="r1") == first
    refusals = {"r1": grpc.StatusCode.ALREADY_EXISTS, "r2": grpc.StatusCode.FAILED_PRECONDITION}
    for request_id, code in refusals.items():
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await trial.record("a", 4, request_id=request_id)
        assert refused.value.code() == code
    assert home.logged("a") == [1]


async def test_the_same_id_with_other_content_already_exists(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    await trial.record("a", 3, request_id="r1")

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await trial.record("a", 4, request_id="r1")

    assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert await trial.total("a") == 3


async def test_two_connections_at_once_have_one_effect_and_one_answer(home: Home) -> None:
    host = await home.start(TrialService)

    answers = await asyncio.gather(*(home.trial(host).record("a", 3, request_id="r1") for _ in range(10)))

    assert {answer.total for answer in answers} == {3}
    assert home.logged("a") == [1]


async def test_a_request_that_comes_again_while_the_first_still_runs_has_one_effect(home: Home) -> None:
    runs: list[str] = []
    go_on = threading.Event()

    class Slow(TrialService):
        @rpc
        def record(self, request):
            runs.append(request.request_id)
            go_on.wait(10)
            return super().record(request)

    host = await home.start(Slow)
    first = asyncio.create_task(home.trial(host).record("a", 3, request_id="r1"))
    await eventually(lambda: len(runs) == 1)
    second = asyncio.create_task(home.trial(host).record("a", 3, request_id="r1"))
    await eventually(lambda: len(runs) == 2)
    go_on.set()

    assert (await first) == (await second)
    assert await home.trial(host).total("a") == 3
    assert home.logged("a") == [1]


async def test_the_same_request_at_two_processes_has_one_effect(home: Home) -> None:
    hosts = [await home.start(TrialService), await home.start(TrialService)]

    answers = await asyncio.gather(*(home.trial(host).record("a", 3, request_id="r1") for host in hosts * 5))

    assert {answer.total for answer in answers} == {3}
    assert home.logged("a") == [1]


async def test_a_restart_forgets_no_request(home: Home) -> None:
    host = await home.start(TrialService)
    first = await home.trial(host).record("a", 3, request_id="r1")

    host = await home.restart(host)

    assert await home.trial(host).record("a", 3, request_id="r1") == first
    assert home.logged("a") == [1]


async def test_callers_do_not_see_each_others_requests(home: Home) -> None:
    host = await home.start(TrialService)

    await home.trial(host, subject="an").record("a", 3, request_id="r1")
    other = await home.trial(host, subject="binh").record("a", 4, request_id="r1")

    assert other.total == 7


async def test_methods_do_not_share_requests(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)

    await trial.record("a", 3, request_id="r1")
    [other] = await trial.record_each([record_request("a", 4, request_id="r1")])

    assert other.total == 7


async def test_a_message_sent_twice_on_one_stream_has_one_effect(home: Home) -> None:
    host = await home.start(TrialService)
    first, other = record_request("a", 3), record_request("a", 1)

    answers = await home.trial(host).record_each([first, other, first])

    assert [answer.total for answer in answers] == [3, 4, 3]
    assert len(home.logged("a")) == 2


async def test_a_refused_request_may_be_sent_again(home: Home) -> None:
    refusing = True

    class Moody(TrialService):
        @rpc
        def record(self, request):
            if refusing:
                raise FailedPrecondition("not today", allowed=("TOMORROW",))
            return super().record(request)

    host = await home.start(Moody)
    trial = home.trial(host)
    with pytest.raises(grpc.aio.AioRpcError, match="not today"):
        await trial.record("a", 3, request_id="r1")

    refusing = False

    assert (await trial.record("a", 3, request_id="r1")).total == 3


async def test_records_are_kept_for_the_days_that_are_set(home: Home) -> None:
    host = await home.start(TrialService, runtime={"request_keep_days": 2})
    await home.trial(host).record("a", request_id="r1")

    indexes = list(home.database("trial")["requests"].list_indexes())

    [expiry] = [index for index in indexes if "expireAfterSeconds" in index]
    assert expiry["expireAfterSeconds"] == timedelta(days=2).total_seconds()
    assert home.database("trial")["requests"].count_documents({expiry_field(expiry): {"$type": "date"}}) == 1


def expiry_field(index: dict[str, object]) -> str:
    [name] = index["key"]
    return str(name)
