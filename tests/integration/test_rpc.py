"""RPCs: the contract decides what is served, to whom, and what may be sent."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from lienthong.mesh.v1 import GetStatusRequest, ListDeadLettersRequest, ReadLogRequest
from lienthong.mesh.v1.node_service_pb2_grpc import NodeServiceStub
from mesh import rpc
from mesh.auth import generate_key
from mesh.errors import ContractError
from tests.hosts import READ, WRITE, Home, detail_of, eventually, record_request
from tests.trial.contract import GetTotalRequest, RecordRequest, RecordResponse
from tests.trial.services import TrialService, WitnessService


async def test_unary_answers_after_the_write_is_durable(home: Home) -> None:
    host = await home.start(TrialService)

    answer = await home.trial(host).record("a", 3, request_id="first")

    assert answer == RecordResponse(request_id="first", total=3)
    assert home.database("trial")["totals"].find_one({"_id": "a"})["total"] == 3
    assert home.logged("a") == [1]


async def test_server_streaming_yields_one_message_after_the_other(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    await trial.record("a", 1)
    await trial.record("b", 2)

    totals = [(t.key, t.total) async for t in trial.stub.ListTotals(GetTotalRequest(key="x"), metadata=trial.metadata)]

    assert totals == [("a", 1), ("b", 2)]


async def test_client_streaming_answers_once(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)

    requests = iter([record_request("a", n) for n in (1, 2, 3)])
    answer = await trial.stub.RecordAll(requests, metadata=trial.metadata)

    assert answer.total == 6
    assert await trial.total("a") == 6
    assert len(home.logged("a")) == 3


async def test_a_conversation_commits_before_each_answer(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    conversation = trial.stub.Converse(metadata=trial.metadata)

    for amount, total in ((1, 1), (2, 3), (3, 6)):
        await conversation.write(record_request("a", amount))
        assert (await conversation.read()).total == total
        assert home.database("trial")["totals"].find_one({"_id": "a"})["total"] == total

    await conversation.done_writing()
    assert await conversation.read() == grpc.aio.EOF
    assert await conversation.code() == grpc.StatusCode.OK


async def test_each_message_is_answered_in_order_and_several_share_a_commit(home: Home) -> None:
    host = await home.start(TrialService)
    before = home.counter()["commit"]

    answers = await home.trial(host).record_each(record_request("a", 1, request_id=f"r{n}") for n in range(100))

    assert [answer.request_id for answer in answers] == [f"r{n}" for n in range(100)]
    assert [answer.total for answer in answers] == list(range(1, 101))
    assert home.counter()["commit"] - before < 50


async def test_each_message_answers_the_good_ones_before_it_refuses_the_bad_one(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    conversation = trial.stub.RecordEach(metadata=trial.metadata)

    for key in ("a", "a", "no such key!"):
        await conversation.write(record_request(key))

    assert [(await conversation.read()).total for _ in range(2)] == [1, 2]
    assert await conversation.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert await trial.total("a") == 2


async def test_a_stream_the_caller_leaves_keeps_what_was_answered(home: Home) -> None:
    host = await home.start(TrialService)
    trial = home.trial(host)
    conversation = trial.stub.Converse(metadata=trial.metadata)
    await conversation.write(record_request("a", 5))
    assert (await conversation.read()).total == 5

    conversation.cancel()

    assert await trial.total("a") == 5
    assert (await trial.record("a", 1)).total == 6


async def test_callers_that_leave_their_streams_hold_no_worker(home: Home) -> None:
    host = await home.start(TrialService, runtime={"workers": 2})
    trial = home.trial(host)

    for _ in range(4):
        conversation = trial.stub.Converse(metadata=trial.metadata)
        await conversation.write(record_request("a", 1))
        await conversation.read()
        conversation.cancel()

    assert (await trial.record("a", 1, within_s=5)).total == 5


# --- who comes in -------------------------------------------------------------------------------------------


async def test_no_token_is_unauthenticated(home: Home) -> None:
    host = await home.start(TrialService)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await home.trial(host, token="").record()

    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert home.log() == []


@pytest.mark.parametrize(
    "claims",
    [{"key": generate_key()}, {"audience": "national"}, {"ttl": timedelta(hours=-1)}, {"issuer": "national"}],
    ids=["signed by a stranger", "meant for another locality", "expired", "of an issuer nobody knows"],
)
async def test_a_token_that_proves_nothing_is_unauthenticated(home: Home, claims: dict[str, object]) -> None:
    host = await home.start(TrialService)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await home.trial(host, token=home.token("*", **claims)).record()

    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_without_the_scope_is_refused_naming_the_scope(home: Home) -> None:
    host = await home.start(TrialService)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await home.trial(host, token=home.token(READ)).record("secret-key")

    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert WRITE in refused.value.details()
    assert detail_of(refused.value, "ErrorInfo").metadata["scope"] == WRITE
    assert "secret-key" not in refused.value.details()
    assert home.log() == []


async def test_every_kind_of_rpc_asks_for_its_scope(home: Home) -> None:
    host = await home.start(TrialService)
    stub = home.trial(host).stub
    metadata = [("authorization", f"Bearer {home.token('some.other')}")]

    calls = [
        stub.Record(record_request(), metadata=metadata),
        stub.RecordEach(metadata=metadata),
        stub.Converse(metadata=metadata),
        stub.RecordAll(metadata=metadata),
        stub.ListTotals(GetTotalRequest(key="a"), metadata=metadata),
    ]

    assert [await call.code() for call in calls] == [grpc.StatusCode.PERMISSION_DENIED] * 5


async def test_one_scope_opens_what_it_names(home: Home) -> None:
    host = await home.start(TrialService)

    await home.trial(host, token=home.token(WRITE)).record("a", 2)

    assert await home.trial(host, token=home.token(READ)).total("a") == 2


async def test_what_the_runtime_answers_about_itself_asks_for_a_scope_too(home: Home) -> None:
    host = await home.start(TrialService)
    node = NodeServiceStub(home.channel(host))
    metadata = [("authorization", f"Bearer {home.token(WRITE, READ)}")]

    with pytest.raises(grpc.aio.AioRpcError, match="PERMISSION_DENIED"):
        [page async for page in node.ReadLog(ReadLogRequest(service="trial"), metadata=metadata)]
    with pytest.raises(grpc.aio.AioRpcError, match="PERMISSION_DENIED"):
        await node.ListDeadLetters(ListDeadLettersRequest(service="trial"), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError, match="UNAUTHENTICATED"):
        await node.GetStatus(GetStatusRequest(service="trial"))


# --- what start-up refuses ----------------------------------------------------------------------------------


async def test_a_missing_method_stops_the_start_and_is_named(home: Home) -> None:
    class Incomplete(TrialService):
        get_total = None

    with pytest.raises(ContractError, match=r"missing \['get_total'\]"):
        await home.start(Incomplete)


async def test_an_extra_method_stops_the_start_and_is_named(home: Home) -> None:
    class Overfull(TrialService):
        @rpc
        def forget_everything(self, request):
            return request

    with pytest.raises(ContractError, match=r"extra \['forget_everything'\]"):
        await home.start(Overfull)


async def test_rpcs_without_a_contract_stop_the_start(home: Home) -> None:
    class Lawless(TrialService):
        contract = "trial.v1.NoSuchService"

    with pytest.raises(ContractError, match=r"trial\.v1\.NoSuchService"):
        await home.start(Lawless)


# --- what everybody may ask -----------------------------------------------------------------------------------


async def test_health_says_serving_once_started_and_not_serving_while_draining(home: Home) -> None:
    running, go_on = threading.Event(), threading.Event()

    class Slow(TrialService):
        @rpc
        def get_total(self, request):
            running.set()
            go_on.wait(10)
            return super().get_total(request)

    host = await home.start(Slow)
    trial = home.trial(host)
    await trial.record("a", 1)
    health = health_pb2_grpc.HealthStub(home.channel(host))

    for service in ("", "trial"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    watch = health.Watch(health_pb2.HealthCheckRequest(service="trial"))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    answering = asyncio.create_task(trial.total("a"))
    await eventually(running.is_set)
    stopping = asyncio.create_task(home.stop(host))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watch.cancel()
    go_on.set()
    assert await answering == 1
    await stopping


async def test_reflection_lists_the_services(home: Home) -> None:
    host = await home.start(TrialService, WitnessService)
    stub = reflection_pb2_grpc.ServerReflectionStub(home.channel(host))

    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [answer] = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]

    names = {service.name for service in answer.list_services_response.service}
    assert {"trial.v1.TrialService", "lienthong.mesh.v1.NodeService", "grpc.health.v1.Health"} <= names


# --- what handlers do -----------------------------------------------------------------------------------------


async def test_a_defect_of_a_handler_is_internal_and_says_nothing_of_the_data(home: Home) -> None:
    class Broken(TrialService):
        @rpc
        def record(self, request):
            super().record(request)
            raise ValueError(f"cannot handle {request.note}")

    host = await home.start(Broken)

    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await home.trial(host).record("a", note="citizen 123")

    assert failed.value.code() == grpc.StatusCode.INTERNAL
    assert "citizen" not in failed.value.details()
    assert home.log() == []
    assert home.database("trial")["totals"].count_documents({}) == 0


async def test_a_handler_runs_in_a_worker_thread_and_never_on_the_loop(home: Home) -> None:
    threads = []

    class Curious(TrialService):
        @rpc
        def get_total(self, request):
            threads.append(threading.current_thread().name)
            return super().get_total(request)

    host = await home.start(Curious)
    trial = home.trial(host)
    await trial.record("a")

    await trial.total("a")

    assert [name.startswith("worker") for name in threads] == [True]


async def test_a_message_larger_than_the_limit_is_refused(home: Home) -> None:
    host = await home.start(TrialService, grpc_max_message_bytes=10_000)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await home.trial(host).record("a", note="x" * 20_000)

    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert home.log() == []


async def test_an_unknown_method_is_unimplemented(home: Home) -> None:
    host = await home.start(TrialService)
    call = home.channel(host).unary_unary("/trial.v1.TrialService/Nothing", RecordRequest.SerializeToString)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(record_request())

    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
