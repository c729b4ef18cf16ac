"""Users of the embedded MongoDB: how they are made and kept, and who connects as whom.

That each opens its own database and no other: `test_doors_databases.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import OperationFailure

from mesh.container import database_name
from mesh.databases import Databases, password_file
from mesh.errors import ConfigurationError
from mesh.members import Members
from mesh.stack.database_users import READER, Client, as_user, keep_reader, keep_services
from mesh.stack.mongod import Mongod
from mesh.stack.ports import free_port
from tests.conftest import RunningMongod
from tests.hosts import Home

HERE, THERE = "da-nang", "hue"
SERVICES = ["environment", "health"]
PRINCIPALS = [(slug, service) for slug in (HERE, THERE) for service in SERVICES]
UNAUTHORIZED = 13


@pytest.fixture
async def credentials(mongod: RunningMongod, tmp_path: Path) -> AsyncIterator[Path]:
    """Passwords of two services of two localities, by locality."""
    for slug in (HERE, THERE):
        await keep_services(mongod.uri, tmp_path / slug, slug, SERVICES)
    yield tmp_path
    async with AsyncMongoClient[dict[str, Any]](mongod.uri) as root:
        for name in (database_name(*principal) for principal in PRINCIPALS):
            await root[name].command("dropUser", name)
            await root.drop_database(name)


@pytest.fixture
def clients(mongod: RunningMongod, credentials: Path) -> Iterator[dict[tuple[str, str], MongoClient[dict[str, Any]]]]:
    """What each service connects with."""
    opened = {(slug, service): _client(mongod, credentials, slug, service) for slug, service in PRINCIPALS}
    yield opened
    for client in opened.values():
        client.close()


def _client(mongod: RunningMongod, credentials: Path, slug: str, service: str) -> MongoClient[dict[str, Any]]:
    name = database_name(slug, service)
    password = password_file(credentials / slug, service).read_text()
    return MongoClient(as_user(mongod.uri), username=name, password=password, authSource=name)


@pytest.mark.parametrize("database", ["admin", "local", "config"])
def test_mongodbs_own_databases_are_shut(clients: dict[tuple[str, str], Any], database: str) -> None:
    """They hold passwords, the oplog and sessions of everybody."""
    client = clients[HERE, "health"]

    assert not _writes(client, database)
    for collection in ("system.users", "oplog.rs", "system.sessions"):
        assert not _reads(client, database, collection)


def test_a_service_makes_no_user_and_no_other_process_stop(clients: dict[tuple[str, str], Any]) -> None:
    client = clients[HERE, "health"]
    database = client[database_name(HERE, "health")]

    for command in (
        lambda: database.command("createUser", "another", pwd="x", roles=[]),
        lambda: database.command("grantRolesToUser", database.name, roles=["dbOwner"]),
        lambda: client.admin.command("killAllSessions", []),
        lambda: client.admin.command("shutdown"),
        lambda: client.admin.command("setParameter", 1, logLevel=1),
    ):
        with pytest.raises(OperationFailure) as refused:
            command()
        assert refused.value.code == UNAUTHORIZED


async def test_the_reader_reads_everything_and_writes_nothing(
    mongod: RunningMongod, clients: dict[tuple[str, str], Any]
) -> None:
    clients[HERE, "health"][database_name(HERE, "health")].notes.insert_one({})
    await keep_reader(mongod.uri, "looking")

    with MongoClient[dict[str, Any]](as_user(mongod.uri, READER, "looking")) as reader:
        assert database_name(HERE, "health") in reader.list_database_names()
        assert _reads(reader, database_name(HERE, "health"))
        assert not _writes(reader, database_name(HERE, "health"))


async def test_a_lost_password_is_made_anew(mongod: RunningMongod, credentials: Path) -> None:
    """A service whose credentials are gone would stand before a shut door for ever."""
    password_file(credentials / HERE, "health").unlink()

    await keep_services(mongod.uri, credentials / HERE, HERE, SERVICES)

    with _client(mongod, credentials, HERE, "health") as client:
        assert _writes(client, database_name(HERE, "health"))


def _writes(client: MongoClient[dict[str, Any]], database: str) -> bool:
    return _allowed(lambda: client[database]["notes"].insert_one({}))


def _reads(client: MongoClient[dict[str, Any]], database: str, collection: str = "notes") -> bool:
    return _allowed(lambda: client[database][collection].find_one())


def _allowed(act: Any) -> bool:
    try:
        act()
    except OperationFailure as refusal:
        if refusal.code != UNAUTHORIZED:
            raise
        return False
    return True


class TestAProcess:
    """With credentials of its own."""

    async def _admit(self, home: Home, folder: Path) -> Databases:
        await keep_services(home.mongodb_uri, folder, home.locality, ["trial", "witness"])
        given = {"insecure": False, "credentials_dir": folder, "mongodb_uri": as_user(home.mongodb_uri)}
        return Databases(home.settings(**given))

    async def test_connects_each_service_as_its_own_user(self, home: Home, tmp_path: Path) -> None:
        databases = await self._admit(home, tmp_path)
        clients = {service: databases.client(service) for service in ("trial", "witness")}
        await databases.ready(clients)

        for service, client in clients.items():
            assert _writes(client, database_name(home.locality, service))
        assert not _reads(clients["trial"], database_name(home.locality, "witness"))
        databases.close()

    async def test_that_has_a_wrong_password_says_so(self, home: Home, tmp_path: Path) -> None:
        databases = await self._admit(home, tmp_path)
        password_file(tmp_path, "trial").write_text("wrong")

        with pytest.raises(ConfigurationError, match=f"{database_name(home.locality, 'trial')}: its password"):
            await databases.ready(["trial"])
        databases.close()

    async def test_shares_one_client_where_the_uri_names_a_user(self, home: Home, tmp_path: Path) -> None:
        """Whoever brings a MongoDB of their own decides who comes in."""
        await self._admit(home, tmp_path)
        own = Databases(home.settings(insecure=False, credentials_dir=tmp_path))

        assert own.client("trial") is own.client("witness")
        own.close()


async def test_a_process_ends_the_session_that_a_killed_one_of_its_service_left(
    mongod: RunningMongod, credentials: Path
) -> None:
    """A user may end its own sessions and needs no further right; without that nobody could commit for seconds."""
    killed, next_one = (_client(mongod, credentials, HERE, "health")[database_name(HERE, "health")] for _ in range(2))
    session = killed.client.start_session()
    session.start_transaction()
    killed["progress"].insert_one({"_id": "counter"}, session=session)
    Members(killed, ttl_s=5, instance="killed").remember_session(dict(session.session_id))
    members = Members(next_one, ttl_s=5, instance="next")

    await members.start()

    next_one["progress"].insert_one({"_id": "counter"})
    with pytest.raises(OperationFailure):
        session.commit_transaction()
    await members.stop()
    for database in (killed, next_one):
        database.client.close()


class TestDataOfAnEarlierVersion:
    """Whose mongod had no users."""

    def _mongod(self, folder: Path, password: str = "secret") -> Mongod:
        return Mongod(folder / "data", free_port(), password=password, log=folder / "log")

    async def _leave(self, folder: Path) -> None:
        """Leaves documents and no users, as a mongod that did not ask for any."""
        mongod = self._mongod(folder)
        at = mongod.child._command.index("--keyFile")
        del mongod.child._command[at : at + 2]
        async with _running(mongod), Client(mongod.uri) as client:
            await client.old.notes.insert_one({"text": "before"})
            await client.admin.command("dropAllUsersFromDatabase")

    async def test_is_taken_over_on_another_port_too(self, tmp_path: Path) -> None:
        await self._leave(tmp_path)

        for mongod in (self._mongod(tmp_path), self._mongod(tmp_path)):  # each on a port of its own
            async with _running(mongod), Client(mongod.uri) as root:
                assert (await root.old.notes.find_one() or {})["text"] == "before"
                async with Client(as_user(mongod.uri)) as nobody:
                    with pytest.raises(OperationFailure):
                        await nobody.old.notes.find_one()

    @pytest.mark.parametrize("same_port", [True, False])
    async def test_that_has_another_root_is_refused(self, tmp_path: Path, *, same_port: bool) -> None:
        """The secrets were lost, and with them the way in."""
        first, other = self._mongod(tmp_path), self._mongod(tmp_path, password="another")
        async with _running(first):
            pass
        if same_port:
            other = Mongod(tmp_path / "data", first.port, password="another", log=tmp_path / "log")

        with pytest.raises(ConfigurationError, match=r"put back the secrets\.json"):
            async with _running(other):
                pass


@asynccontextmanager
async def _running(mongod: Mongod) -> AsyncIterator[None]:
    await mongod.start()
    try:
        yield
    finally:
        await mongod.child.stop()
