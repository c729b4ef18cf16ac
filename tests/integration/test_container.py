"""A service's life: nameko's model of workers and extensions, hosted on asyncio, stopped so that nothing is lost."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from nameko.extensions import DependencyProvider, Entrypoint

from mesh import ALL, ANY, rpc, subscribe
from tests.conftest import RunningMongod, RunningNats
from tests.hosts import Home, Homes, eventually, record_request, witness
from tests.trial.contract import AmountRecorded, GetTotalRequest
from tests.trial.services import TrialService, WitnessService

Story = list[str]
story: Story = []
"""What happened, in order; nameko copies extensions, so they tell it to the module."""


@pytest.fixture(autouse=True)
def fresh_story() -> None:
    story.clear()


class Telling(DependencyProvider):
    """A dependency provider that tells what happens to it."""

    def setup(self) -> None:
        story.append("provider set up")

    def start(self) -> None:
        story.append("provider started")

    def stop(self) -> None:
        story.append("provider stopped")

    def get_dependency(self, worker_ctx: Any) -> Story:
        story.append("injected")
        return story

    def worker_setup(self, worker_ctx: Any) -> None:
        story.append("worker set up")

    def worker_result(self, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> None:
        story.append(f"worker failed: {exc_info[0].__name__}" if exc_info else "worker succeeded")

    def worker_teardown(self, worker_ctx: Any) -> None:
        story.append("worker torn down")


class Knock(Entrypoint):
    """An entrypoint that tells what happens to it."""

    def setup(self) -> None:
        story.append("entrypoint set up")

    def start(self) -> None:
        story.append("entrypoint started")

    def stop(self) -> None:
        story.append("entrypoint stopped")


class Told(TrialService):
    """A service whose life is told."""

    telling = Telling()

    @rpc
    def record(self, request):
        story.append("handler ran")
        if request.note == "fail":
            raise ValueError("as asked")
        return super().record(request)

    @rpc
    def converse(self, requests):
        try:
            for request in requests:
                story.append("handler ran")
                if request.note == "fail":
                    raise ValueError("as asked")
                yield super().record(request)
        finally:
            story.append("handler ended")

    @Knock.decorator
    def knock(self):
        """Never called."""


# --- the order of things ------------------------------------------------------------------------------------------


async def test_sets_up_everything_before_it_starts_anything_providers_first(home: Home) -> None:
    await home.start(Told)

    assert story == ["provider set up", "entrypoint set up", "provider started", "entrypoint started"]


async def test_stops_entrypoints_before_dependency_providers(home: Home) -> None:
    host = await home.start(Told)
    story.clear()

    await home.stop(host)

    assert story == ["entrypoint stopped", "provider stopped"]


async def test_a_worker_is_injected_set_up_run_and_torn_down(home: Home) -> None:
    host = await home.start(Told)
    story.clear()

    await home.trial(host).record("a")

    assert story == ["injected", "worker set up", "handler ran", "worker succeeded", "worker torn down"]


async def test_a_worker_that_fails_is_torn_down_too(home: Home) -> None:
    host = await home.start(Told)
    story.clear()

    with pytest.raises(grpc.aio.AioRpcError):
        await home.trial(host).record("a", note="fail")

    assert story == ["injected", "worker set up", "handler ran", "worker failed: ValueError", "worker torn down"]


async def test_a_streaming_worker_lives_as_long_as_its_stream(home: Home) -> None:
    host = await home.start(Told)
    trial = home.trial(host)
    story.clear()

    requests = [record_request("a"), record_request("a")]
    assert [answer.total async for answer in trial.stub.Converse(iter(requests), metadata=trial.metadata)] == [1, 2]

    ran = ["handler ran", "handler ran", "handler ended"]
    expected = ["injected", "worker set up", *ran, "worker succeeded", "worker torn down"]
    await eventually(lambda: story == expected)


async def test_a_streaming_worker_whose_caller_leaves_is_torn_down(home: Home) -> None:
    host = await home.start(Told)
    trial = home.trial(host)
    conversation = trial.stub.Converse(metadata=trial.metadata)
    await conversation.write(record_request("a"))
    await conversation.read()

    conversation.cancel()

    await eventually(lambda: story[-1] == "worker torn down")
    assert "handler ended" in story


async def test_a_streaming_worker_that_fails_is_torn_down(home: Home) -> None:
    host = await home.start(Told)
    trial = home.trial(host)
    conversation = trial.stub.Converse(metadata=trial.metadata)

    await conversation.write(record_request("a"))
    assert (await conversation.read()).total == 1
    await conversation.write(record_request("a", note="fail"))

    assert await conversation.code() == grpc.StatusCode.INTERNAL
    await eventually(lambda: story[-2:] == ["worker failed: ValueError", "worker torn down"])


async def test_what_workers_staged_is_committed_before_dependency_providers_stop(home: Home) -> None:
    committed: list[int] = []

    class Watching(DependencyProvider):
        def stop(self) -> None:
            committed.append(len(home.log()))

    class Slow(TrialService):
        watching = Watching()

        @rpc
        def record(self, request):
            story.append("running")
            assert go_on.wait(10)
            return super().record(request)

    go_on = threading.Event()
    host = await home.start(Slow)
    call = asyncio.create_task(home.trial(host).record("a"))
    await eventually(lambda: "running" in story)

    stopping = asyncio.create_task(home.stop(host))
    go_on.set()
    await stopping

    assert (await call).total == 1
    assert committed == [1]


# --- eventlet -------------------------------------------------------------------------------------------------------


async def test_eventlet_is_imported_but_patches_nothing_and_never_runs(home: Home) -> None:
    import eventlet.hubs
    import eventlet.patcher

    host = await home.start(TrialService, WitnessService)
    await home.trial(host).record_many(record_request("a") for _ in range(20))
    await eventually(lambda: len(home.seen("a")) == 20)

    patched = [
        name for name in ("socket", "thread", "time", "os", "select") if eventlet.patcher.is_monkey_patched(name)
    ]
    assert patched == []
    assert socket.socket.__module__ == "socket"
    assert threading.Thread.__module__ == "threading"
    assert time.sleep.__module__ == "time"
    assert getattr(eventlet.hubs._threadlocal, "hub", None) is None
    assert _greenlets() == []


def _greenlets() -> list[Any]:
    """Greenlets that run or wait; each thread has one of its own, in which nothing of eventlet runs."""
    import gc

    import greenlet

    # By type, not isinstance: that would ask weak proxies for the class of what is gone.
    found = (thing for thing in gc.get_objects() if issubclass(type(thing), greenlet.greenlet))
    return [each for each in found if not each.dead and each.parent is not None]


# --- starting -------------------------------------------------------------------------------------------------------


async def test_a_process_waits_for_the_broker_before_it_serves(
    mongod: RunningMongod, new_nats_server: RunningNats, homes: Homes
) -> None:
    home = homes(nats=new_nats_server)
    await asyncio.to_thread(new_nats_server.stop)
    starting = asyncio.create_task(home.start(TrialService))
    await eventually(lambda: home._hosts and hasattr(home._hosts[0], "neighbours"))

    await asyncio.to_thread(new_nats_server.start)

    assert (await home.trial(await starting).record("a")).total == 1


async def test_services_of_one_process_each_have_their_own_database(home: Home) -> None:
    host = await home.start(TrialService, WitnessService)
    await home.trial(host).record("a")
    await eventually(lambda: home.seen("a") == [1])

    assert "sightings" not in home.database("trial").list_collection_names()
    assert "totals" not in home.database("witness").list_collection_names()


async def test_a_service_that_emits_nothing_has_no_stream(home: Home) -> None:
    await home.start(TrialService, WitnessService)

    streams = {info.config.name for info in await (await home.jetstream()).streams_info()}

    assert streams == {home.stream("trial")}


# --- stopping -------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow() -> Iterator[tuple[type[TrialService], threading.Event, threading.Event]]:
    """A recorder that waits for a sign: the class, whether it runs, the sign."""
    running, go_on = threading.Event(), threading.Event()

    class Slow(TrialService):
        @rpc
        def record(self, request):
            running.set()
            assert go_on.wait(10)
            return super().record(request)

    yield Slow, running, go_on
    go_on.set()


async def test_calls_under_way_are_answered_and_their_events_published(home: Home, slow: Any) -> None:
    service, running, go_on = slow
    host = await home.start(service)
    calls = [asyncio.create_task(home.trial(host).record("a")) for _ in range(5)]
    await eventually(lambda: running.is_set() and host.containers["trial"].in_flight == 5)

    stopping = asyncio.create_task(home.stop(host))
    go_on.set()
    await stopping

    assert sorted([(await call).total for call in calls]) == [1, 2, 3, 4, 5]
    assert len(await home.on_stream()) == 5


async def test_new_calls_are_refused_while_it_drains(home: Home, slow: Any) -> None:
    service, running, go_on = slow
    host = await home.start(service)
    call = asyncio.create_task(home.trial(host).record("a"))
    await eventually(running.is_set)
    other = home.trial(host)

    stopping = asyncio.create_task(home.stop(host))

    async def refused() -> bool:
        try:
            await other.stub.GetTotal(GetTotalRequest(key="a"), metadata=other.metadata, timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code() == grpc.StatusCode.UNAVAILABLE
        return False

    await eventually(refused)
    go_on.set()
    await stopping
    assert (await call).total == 1


async def test_a_call_that_does_not_end_within_the_drain_time_is_cut_off_and_nothing_is_half_done(
    home: Home, slow: Any
) -> None:
    service, running, _ = slow
    host = await home.start(service, runtime={"drain_timeout_s": 1})
    call = asyncio.create_task(home.trial(host).record("a"))
    await eventually(running.is_set)

    await home.stop(host)

    with pytest.raises(grpc.aio.AioRpcError):
        await call
    assert home.log() == []


async def test_an_event_being_handled_is_finished_and_not_handled_again(home: Home) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slowly(amount: Any, event: Any) -> None:
        running.set()
        assert go_on.wait(10)

    host = await home.start(TrialService, witness(slowly))
    await home.trial(host).record("a")
    await eventually(running.is_set)

    stopping = asyncio.create_task(home.stop(host))
    go_on.set()
    await stopping

    assert home.seen("a") == [1]
    host = await home.start(TrialService, WitnessService)
    await home.trial(host).record("a")
    await eventually(lambda: home.seen("a") == [1, 2])


async def test_an_idle_process_stops_at_once(home: Home) -> None:
    host = await home.start(TrialService, WitnessService)
    await home.trial(host).record("a")
    await eventually(lambda: home.seen("a") == [1])
    began = time.monotonic()

    await home.stop(host)

    assert time.monotonic() - began < 1


async def test_a_process_stops_although_the_broker_is_away(
    mongod: RunningMongod, new_nats_server: RunningNats, homes: Homes
) -> None:
    home = homes(nats=new_nats_server)
    host = await home.start(TrialService, runtime={"drain_timeout_s": 2})
    await asyncio.to_thread(new_nats_server.stop)
    await home.trial(host).record("a")
    began = time.monotonic()

    await home.stop(host)

    assert time.monotonic() - began < 5
    assert len(home.log()) == 1


async def test_a_process_stops_although_the_database_is_away(
    new_mongod: RunningMongod, empty_nats: RunningNats, homes: Homes
) -> None:
    """Also with an effect that must be committed some day: its mark says that it is not done."""
    running, go_on = threading.Event(), threading.Event()

    class Slow(WitnessService):
        @subscribe(AmountRecorded, origin=ANY, start=ALL)
        def see(self, amount, event):
            super().see(amount, event)
            running.set()
            assert go_on.wait(10)

    home = homes(mongod=new_mongod, nats=empty_nats)
    host = await home.start(TrialService, Slow, runtime={"drain_timeout_s": 2})
    await home.trial(host).record("a")
    await eventually(running.is_set)
    await asyncio.to_thread(new_mongod.kill)
    go_on.set()
    began = time.monotonic()

    await home.stop(host)

    assert time.monotonic() - began < 12
    await asyncio.to_thread(new_mongod.start)
    await home.start(TrialService, WitnessService)
    await eventually(lambda: home.seen("a") == [1])
