"""What is answered to bad input, and when broker or database are away; nothing is ever half done."""

from __future__ import annotations

import asyncio
import threading
import time

import grpc
import pytest

from mesh import rpc
from mesh.errors import Aborted, FailedPrecondition, ResourceExhausted
from tests.conftest import RunningMongod, RunningNats
from tests.hosts import Home, Homes, detail_of, eventually, record_request
from tests.trial.contract import RecordRequest
from tests.trial.services import TrialService


async def _refused(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


def _nothing_is_written(home: Home) -> bool:
    database = home.database("trial")
    return not any(database[name].count_documents({}) for name in ("totals", "log", "requests"))


async def test_invalid_fields_are_all_named_with_their_rules_and_nothing_is_written(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    request = RecordRequest(key="no key at all!", amount=-1)

    error = await _refused(trial.stub.Record(request, metadata=trial.metadata))

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    broken = {row.field: row.reason for row in detail_of(error, "BadRequest").field_violations}
    assert broken == {"request_id": "REQUIRED", "key": "PATTERN", "amount": "GTE"}
    assert "no key at all" not in error.details()
    assert _nothing_is_written(home)


async def test_bytes_that_are_no_message_are_refused(home: Home) -> None:
    host = await home.start(TrialService)
    call = home.channel(host).unary_unary("/trial.v1.TrialService/Record")

    error = await _refused(call(b"\xff\xff\xff", metadata=home.trial(host).metadata))

    assert error.code() == grpc.StatusCode.UNKNOWN  # gRPC's own answer: it never came as far as the service
    assert _nothing_is_written(home)


async def test_an_unknown_id_is_not_found_and_named(home: Home) -> None:
    host = await home.start(TrialService)

    error = await _refused(home.trial(host).total("nobody"))

    assert error.code() == grpc.StatusCode.NOT_FOUND
    resource = detail_of(error, "ResourceInfo")
    assert (resource.resource_type, resource.resource_name) == ("total", "nobody")


async def test_an_illegal_state_change_names_the_allowed_states(home: Home) -> None:
    class Strict(TrialService):
        @rpc
        def record(self, request):
            super().record(request)
            raise FailedPrecondition("the case is closed", allowed=("OPEN", "REOPENED"))

    host = await home.start(Strict)

    error = await _refused(home.trial(host).record())

    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert detail_of(error, "ErrorInfo").metadata["allowed"] == "OPEN,REOPENED"
    assert _nothing_is_written(home)


async def test_a_stale_revision_is_aborted(home: Home) -> None:
    class Optimistic(TrialService):
        @rpc
        def record(self, request):
            raise Aborted("revision 3 is stale")

    host = await home.start(Optimistic)

    assert (await _refused(home.trial(host).record())).code() == grpc.StatusCode.ABORTED


async def test_a_document_too_large_for_the_database_fails_alone(home: Home) -> None:
    class Hoarder(TrialService):
        @rpc
        def record(self, request):
            answer = super().record(request)
            if request.note:
                request.note = "x" * 17_000_000
                super().record(request)
            return answer

    host = await home.start(Hoarder)
    trial = home.trial(host)

    large, *small = await asyncio.gather(
        trial.record("a", note="large"), *(trial.record("b") for _ in range(10)), return_exceptions=True
    )

    assert isinstance(large, grpc.aio.AioRpcError)
    assert sorted(answer.total for answer in small) == list(range(1, 11))
    assert home.logged("a") == []


async def test_too_many_calls_are_refused_and_told_when_to_come_back(home: Home) -> None:
    running, go_on = threading.Event(), threading.Event()

    class Slow(TrialService):
        @rpc
        def record(self, request):
            running.set()
            go_on.wait(10)
            return super().record(request)

    host = await home.start(Slow, runtime={"queue_limit": 3})
    trial = home.trial(host)
    waiting = [asyncio.create_task(trial.record("a")) for _ in range(3)]
    await eventually(lambda: host.containers["trial"].in_flight == 3)

    error = await _refused(trial.record("a"))

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail_of(error, "RetryInfo").retry_delay.ToMilliseconds() > 0
    go_on.set()
    assert {(await call).total for call in waiting} == {1, 2, 3}


async def test_a_limit_of_the_handlers_own_says_when_to_come_back(home: Home) -> None:
    class Guarded(TrialService):
        @rpc
        def record(self, request):
            raise ResourceExhausted("one per minute", retry_after_s=60)

    host = await home.start(Guarded)

    error = await _refused(home.trial(host).record())

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail_of(error, "RetryInfo").retry_delay.seconds == 60


async def test_a_handler_that_takes_too_long_is_answered_in_time_and_commits_nothing(home: Home) -> None:
    go_on, done = threading.Event(), threading.Event()

    class Slow(TrialService):
        @rpc
        def record(self, request):
            go_on.wait(10)
            done.set()
            return super().record(request)

    host = await home.start(Slow)

    error = await _refused(home.trial(host).record(within_s=1))

    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    go_on.set()
    await eventually(done.is_set)
    await home.stop(host)
    assert _nothing_is_written(home)


# --- the database is away -------------------------------------------------------------------------------------


@pytest.fixture
def own_home(new_mongod: RunningMongod, empty_nats: RunningNats, homes: Homes) -> Home:
    """A home whose mongod may be stopped."""
    return homes(mongod=new_mongod, nats=empty_nats)


async def test_a_write_waits_for_the_database_until_its_deadline_and_is_not_half_done(
    own_home: Home, new_mongod: RunningMongod
) -> None:
    host = await own_home.start(TrialService)
    trial = own_home.trial(host)
    await trial.record("a", 1)
    await asyncio.to_thread(new_mongod.stop)
    began = time.monotonic()

    error = await _refused(trial.record("a", 10, within_s=3))

    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert 2 < time.monotonic() - began < 3.5
    await asyncio.to_thread(new_mongod.start)
    await trial.record("a", 100)
    assert await trial.total("a") == 101
    assert len(own_home.logged("a")) == 2


async def test_a_write_that_waited_for_the_database_is_answered_once_it_is_back(
    own_home: Home, new_mongod: RunningMongod
) -> None:
    host = await own_home.start(TrialService)
    trial = own_home.trial(host)
    await trial.record("a", 1)
    await asyncio.to_thread(new_mongod.kill)

    waiting = [asyncio.create_task(trial.record("a", 1, within_s=30)) for _ in range(5)]
    await eventually(lambda: host.containers["trial"].in_flight == 5)
    await asyncio.to_thread(new_mongod.start)

    assert sorted([(await call).total for call in waiting]) == [2, 3, 4, 5, 6]
    assert own_home.logged("a") == [1, 2, 3, 4, 5, 6]


async def test_a_stream_waits_for_the_database_too(own_home: Home, new_mongod: RunningMongod) -> None:
    host = await own_home.start(TrialService)
    trial = own_home.trial(host)
    await trial.record("a", 1)
    await asyncio.to_thread(new_mongod.kill)

    waiting = asyncio.create_task(trial.record_each([record_request("a", 1), record_request("a", 1)]))
    await asyncio.to_thread(new_mongod.start)

    assert [answer.total for answer in await waiting] == [2, 3]


# --- the broker is away ---------------------------------------------------------------------------------------


async def test_a_broker_outage_does_not_stop_writes_and_events_arrive_later(
    mongod: RunningMongod, new_nats_server: RunningNats, homes: Homes
) -> None:
    home = homes(nats=new_nats_server)
    host = await home.start(TrialService)
    trial = home.trial(host)
    await trial.record("a", 1)
    await home.published(1)
    await asyncio.to_thread(new_nats_server.stop)

    answers = [await trial.record("a", 1, within_s=2) for _ in range(5)]

    assert [answer.total for answer in answers] == [2, 3, 4, 5, 6]
    await asyncio.to_thread(new_nats_server.start)
    await home.published(6)
    assert [message.headers["ce-sequence"] for message in await home.on_stream()] == ["1", "2", "3", "4", "5", "6"]
