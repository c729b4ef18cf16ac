"""The registry of localities on a real server: what integrators ask of it, and what it leaves in the database."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from lienthong.localities import v1
from lienthong.localities.v1.localities_service_pb2_grpc import LocalitiesServiceStub
from mesh.host import Host
from mesh.stack.ports import LOOPBACK, free_port
from services.localities.service import LocalitiesService
from tests.hosts import Home


class Caller:
    """Somebody who may read the registry."""

    def __init__(self, home: Home, host: Host, scope: str = "localities.read") -> None:
        self._stub = LocalitiesServiceStub(home.channel(host))
        self._metadata = [("authorization", f"Bearer {home.token(scope)}")]

    async def ask(self, method: str, request: Any) -> Any:
        return await getattr(self._stub, method)(request, metadata=self._metadata, timeout=20)


async def test_a_former_code_resolves_and_the_list_is_of_today(home: Home) -> None:
    caller = Caller(home, await home.start(LocalitiesService))

    resolved = await caller.ask("ResolveCode", v1.ResolveCodeRequest(code="74"))
    page = await caller.ask("ListLocalities", v1.ListLocalitiesRequest(page_size=30))
    rest = await caller.ask("ListLocalities", v1.ListLocalitiesRequest(page_token=page.next_page_token))

    assert (resolved.former_unit.name, resolved.locality.name) == ("Bình Dương", "Hồ Chí Minh")
    assert len([*page.localities, *rest.localities]) == 34


async def test_each_bad_request_is_refused_with_its_status(home: Home) -> None:
    host = await home.start(LocalitiesService)
    caller, stranger = Caller(home, host), Caller(home, host, scope="health.read")
    asked: list[tuple[Caller, str, Any, grpc.StatusCode]] = [
        (caller, "ResolveCode", v1.ResolveCodeRequest(code="7"), grpc.StatusCode.INVALID_ARGUMENT),
        (caller, "ResolveCode", v1.ResolveCodeRequest(code="99"), grpc.StatusCode.NOT_FOUND),
        (caller, "GetLocality", v1.GetLocalityRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (caller, "ListLocalities", v1.ListLocalitiesRequest(page_token="next"), grpc.StatusCode.INVALID_ARGUMENT),
        (stranger, "ListLocalities", v1.ListLocalitiesRequest(), grpc.StatusCode.PERMISSION_DENIED),
    ]

    for who, method, request, status in asked:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await who.ask(method, request)
        assert refused.value.code() is status


async def test_a_service_that_writes_nothing_leaves_no_tables(home: Home) -> None:
    """Each takes its share of MongoDB's memory, in every locality."""
    caller = Caller(home, await home.start(LocalitiesService))
    await caller.ask("ListLocalities", v1.ListLocalitiesRequest())

    assert home.database("localities").list_collection_names() == []


async def test_a_service_that_writes_nothing_answers_without_a_database(home: Home) -> None:
    host = await home.start(LocalitiesService, mongodb_uri=f"mongodb://{LOOPBACK}:{free_port()}")

    page = await Caller(home, host).ask("ListLocalities", v1.ListLocalitiesRequest(page_size=30))

    assert len(page.localities) == 30
