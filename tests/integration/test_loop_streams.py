"""RPCs that are async generators: they run on the loop, read only, and let go of readers who take nothing."""

from __future__ import annotations

import asyncio
import threading

import grpc
import pytest

from mesh import Store, rpc
from mesh.errors import ContractError, MeshError, OutOfRange, ResourceExhausted, from_rpc_error
from tests.hosts import Home, eventually
from tests.trial.contract import GetTotalRequest, GetTotalResponse
from tests.trial.services import Total, TrialService

ASK = GetTotalRequest(key="x")


def listing(method):
    """The trial service with another way to list totals."""
    return type("TrialService", (TrialService,), {"list_totals": rpc(method), "__doc__": TrialService.__doc__})


async def test_a_thousand_streams_that_wait_need_no_threads(home: Home) -> None:
    opened, closed = [], []
    release = asyncio.Event()

    async def list_totals(self, request):
        opened.append(request.key)
        try:
            yield GetTotalResponse(key=request.key)
            await release.wait()
            yield GetTotalResponse(key=request.key, total=1)
        finally:
            closed.append(request.key)

    trial = home.trial(await home.start(listing(list_totals)))
    calls = [trial.stub.ListTotals(GetTotalRequest(key=str(n)), metadata=trial.metadata) for n in range(1000)]
    await asyncio.gather(*(call.read() for call in calls))

    assert threading.active_count() < 60
    release.set()
    assert [(await call.read()).total for call in calls] == [1] * 1000
    await eventually(lambda: len(closed) == 1000)
    assert sorted(opened) == sorted(closed)


async def test_bytes_are_sent_as_they_are(home: Home) -> None:
    once = GetTotalResponse(key="a", total=7).SerializeToString()

    async def list_totals(self, request):
        yield once
        yield GetTotalResponse(key="b")

    trial = home.trial(await home.start(listing(list_totals)))

    totals = [(t.key, t.total) async for t in trial.stub.ListTotals(ASK, metadata=trial.metadata)]

    assert totals == [("a", 7), ("b", 0)]


async def test_what_it_raises_ends_the_stream_with_status_and_notes(home: Home) -> None:
    async def list_totals(self, request):
        yield GetTotalResponse(key="a")
        raise OutOfRange("there is no more").note(cursor="17")

    trial = home.trial(await home.start(listing(list_totals)))

    error = await ended(trial.stub.ListTotals(ASK, metadata=trial.metadata))

    assert isinstance(error, OutOfRange)
    assert error.noted == {"cursor": "17"}


async def test_a_reader_that_takes_nothing_is_cut_off_and_the_handler_says_how_far_it_came(home: Home) -> None:
    sent, cut = 0, asyncio.Event()

    async def list_totals(self, request):
        nonlocal sent
        try:
            while True:
                yield GetTotalResponse(key="x" * 60_000)
                sent += 1
        except MeshError as slow:
            cut.set()
            raise slow.note(sent=str(sent)) from None

    trial = home.trial(await home.start(listing(list_totals), runtime={"slow_reader_s": 0.5}))
    stalled = trial.stub.ListTotals(ASK, metadata=trial.metadata)

    await asyncio.wait_for(cut.wait(), 10)
    await trial.record("a", 1)
    error = await ended(stalled)

    assert isinstance(error, ResourceExhausted)
    assert int(error.noted["sent"]) == sent


async def test_a_caller_that_leaves_ends_the_handler(home: Home) -> None:
    left = asyncio.Event()

    async def list_totals(self, request):
        try:
            yield GetTotalResponse(key="a")
            await asyncio.Event().wait()
        finally:
            left.set()

    trial = home.trial(await home.start(listing(list_totals)))
    call = trial.stub.ListTotals(ASK, metadata=trial.metadata)
    await call.read()

    call.cancel()

    await asyncio.wait_for(left.wait(), 10)


async def test_what_it_stages_is_refused_and_not_committed(home: Home) -> None:
    async def list_totals(self, request):
        yield GetTotalResponse(key="a")
        self.store.put(Total(id="a", total=1))

    trial = home.trial(await home.start(listing(list_totals)))

    error = await ended(trial.stub.ListTotals(ASK, metadata=trial.metadata))

    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "reads only" in error.message
    assert home.database("trial")["totals"].count_documents({}) == 0


async def test_a_coroutine_is_refused_when_the_process_starts(home: Home) -> None:
    class Service(TrialService):
        """Answers from the loop what it cannot."""

        store = Store()

        @rpc
        async def get_total(self, request):
            return GetTotalResponse(key=request.key)

    with pytest.raises(ContractError, match="get_total"):
        await home.start(Service)


async def ended(call) -> MeshError:
    """What a stream ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in call:
            pass
    return from_rpc_error(raised.value)
