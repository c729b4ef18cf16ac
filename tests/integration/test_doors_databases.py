"""Every principal tries to read and to write every database of a real mongod; exactly the declared cells open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from mesh.databases import password_file
from mesh.doors.declared import declared
from mesh.doors.principals import HUB, PEER, Principal, principals
from mesh.identity import EDGE, OPERATOR
from mesh.installed import installed_services, service_class
from mesh.stack import Stack, endpoints
from mesh.stack.database_users import as_user
from tests.conftest import Background
from tests.integration.doors import HERE, THERE

DECLARED = [declared(service_class(place)) for place in installed_services().values()]
PRINCIPALS = {slug: {one.name: one for one in principals(DECLARED, slug)} for slug in (HERE, THERE)}
DATABASES = sorted(database for slug in (HERE, THERE) for database, _ in PRINCIPALS[slug][OPERATOR].databases)
OTHERS = ["admin", "local", "config", "nobodys"]
READ, WRITE = "read", "readWrite"


@pytest.fixture(scope="module")
def stack(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers of two localities as `lienthong up` starts them."""
    stack = Stack([HERE, THERE], tmp_path_factory.mktemp("databases"), serve=False)
    background.run(stack.__aenter__())
    yield stack
    background.run(stack.__aexit__(None, None, None))


def opened_to(uri: str) -> set[tuple[str, str]]:
    """Tries every database with a connection string, and returns what opened."""
    with MongoClient[dict[str, Any]](uri) as client:
        reads = {(name, READ) for name in [*DATABASES, *OTHERS] if _allowed(client, name, write=False)}
        writes = {(name, WRITE) for name in [*DATABASES, *OTHERS] if _allowed(client, name, write=True)}
    return reads | writes


def _allowed(client: MongoClient[dict[str, Any]], database: str, *, write: bool) -> bool:
    collection = client[database]["doors"]
    try:
        if write:
            collection.insert_one({})
        else:
            collection.find_one()
    except OperationFailure:
        return False
    return True


def cells(principal: Principal) -> set[tuple[str, str]]:
    """What should open: who writes a database reads it too."""
    return {(database, READ) for database, _ in principal.databases} | {
        (database, role) for database, role in principal.databases if role == WRITE
    }


@pytest.mark.parametrize("locality", [HERE, THERE])
@pytest.mark.parametrize("service", sorted(service.name for service in DECLARED))
def test_a_service_reads_and_writes_its_own_database_and_no_other(stack: Stack, locality: str, service: str) -> None:
    """Its user has the name of its database, which has the name of locality and service."""
    principal = PRINCIPALS[locality][service]
    name = principal.databases[0][0]
    password = password_file(stack.credentials(locality), service).read_text().strip()

    opened = opened_to(f"{as_user(stack.mongodb_uri, name, password)}&authSource={name}")

    assert opened == cells(principal)


def test_the_operator_reads_all_and_writes_none(stack: Stack) -> None:
    """One operator runs the localities of one mongod."""
    opened = opened_to(endpoints.read(stack.endpoints_file).mongodb)

    assert {(name, role) for name, role in opened if name in DATABASES} == {
        cell for slug in (HERE, THERE) for cell in cells(PRINCIPALS[slug][OPERATOR])
    }
    assert not [name for name, role in opened if role == WRITE]


def test_nobody_opens_nothing(stack: Stack) -> None:
    """The address alone is no key; and whoever else has credentials has none for MongoDB."""
    assert opened_to(as_user(stack.mongodb_uri)) == set()
    assert [one.name for one in PRINCIPALS[HERE].values() if not one.databases] == [HUB, EDGE, PEER]
