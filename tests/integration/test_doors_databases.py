"""Every principal tries every database of two localities; exactly what the matrix names opens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from mesh.container import database_name
from mesh.databases import password_file
from mesh.doors.declared import declared
from mesh.doors.matrix import Matrix
from mesh.identity import OPERATOR
from mesh.installed import installed_services, service_class
from mesh.stack import Stack
from mesh.stack.database_users import Client, as_user
from tests.integration.doors import HERE, THERE

SERVICES = [declared(service_class(place)) for place in installed_services().values()]
MATRICES = {slug: Matrix.of(SERVICES, slug, []) for slug in (HERE, THERE)}
DATABASES = [database_name(slug, service.name) for slug in (HERE, THERE) for service in SERVICES]
FOREIGN = ["admin", "local", "config", "somebody_elses"]
ROLES = {"readWrite": {"read", "write"}, "read": {"read"}}
UNAUTHORIZED = 13

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Two localities without services; each database holds something to read."""
    async with Stack([HERE, THERE], tmp_path_factory.mktemp("databases"), serve=False) as stack:
        async with Client(stack.mongodb_uri) as root:
            for name in DATABASES:
                await root[name]["notes"].insert_one({})
        yield stack


def uri_of(stack: Stack, locality: str, principal: str) -> str:
    """How a principal of a locality connects."""
    if principal == OPERATOR:
        return stack.endpoints().mongodb
    user = database_name(locality, principal)
    password = password_file(stack.credentials(locality), principal).read_text()
    return f"{as_user(stack.mongodb_uri, user, password)}&authSource={user}"


async def opened(client: AsyncMongoClient[dict[str, Any]], database: str) -> set[str]:
    """What a principal may do in a database."""
    notes = client[database]["notes"]
    tried = {"read": notes.find_one(), "write": notes.insert_one({})}
    return {name for name, attempt in tried.items() if await _allowed(attempt)}


async def _allowed(attempt: Any) -> bool:
    try:
        await attempt
    except OperationFailure as refusal:
        if refusal.code != UNAUTHORIZED:
            raise
        return False
    return True


@pytest.mark.parametrize("locality", [HERE, THERE])
async def test_a_service_opens_its_own_database_and_no_other(stack: Stack, locality: str) -> None:
    """Neither another sector's nor, of its own sector, another locality's; nor one of MongoDB's own."""
    for principal in MATRICES[locality].principals:
        if principal.name not in {service.name for service in SERVICES}:
            continue
        async with Client(uri_of(stack, locality, principal.name)) as client:
            found = {name: may for name in [*DATABASES, *FOREIGN] if (may := await opened(client, name))}

        assert found == {name: ROLES[role] for name, role in principal.databases}, principal.name


async def test_the_operator_reads_every_locality_and_writes_nowhere(stack: Stack) -> None:
    """One command line serves all localities of a mesh."""
    declared_open = {
        name: ROLES[role]
        for matrix in MATRICES.values()
        for principal in matrix.principals
        if principal.name == OPERATOR
        for name, role in principal.databases
    }

    async with Client(uri_of(stack, HERE, OPERATOR)) as client:
        assert {name: await opened(client, name) for name in DATABASES} == declared_open
        assert [name for name in FOREIGN if "write" in await opened(client, name)] == []


async def test_nobody_opens_anything_without_a_password(stack: Stack) -> None:
    async with Client(as_user(stack.mongodb_uri)) as client:
        assert [name for name in [*DATABASES, *FOREIGN] if await opened(client, name)] == []
        with pytest.raises(OperationFailure):
            await client.list_database_names()
