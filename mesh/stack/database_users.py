"""Users of the embedded mongod: one per service and locality with a database of its own, and one who only reads."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo import AsyncMongoClient

from mesh.container import database_name
from mesh.databases import password_file
from mesh.stack.secrets import write_private

Client = AsyncMongoClient[dict[str, Any]]

READER = "reader"
"""Who reads all databases and writes none: the operator."""


def as_user(uri: str, user: str = "", password: str = "") -> str:
    """Returns a connection string for another user; for nobody in particular without one."""
    parts = urlsplit(uri)
    hosts = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{password}@{hosts}" if user else hosts).geturl()


async def keep_reader(root_uri: str, password: str) -> None:
    """Makes the reader if there is none yet."""
    async with Client(root_uri) as client:
        if f"admin.{READER}" not in await _known(client):
            await _make(client, "admin", READER, password, {"role": "readAnyDatabase", "db": "admin"})


async def keep_services(root_uri: str, credentials: Path, locality: str, services: Iterable[str]) -> None:
    """Makes the users of a locality's services that there are not yet, and leaves their passwords in `credentials`."""
    async with Client(root_uri) as client:
        known = await _known(client)
        for service in services:
            await _keep_service(client, known, database_name(locality, service), password_file(credentials, service))


async def _keep_service(client: Client, known: set[str], database: str, file: Path) -> None:
    password, made = _password(file)
    if f"{database}.{database}" not in known:
        await _make(client, database, database, password, {"role": "readWrite", "db": database})
    elif made:
        await client[database].command("updateUser", database, pwd=password)


def _password(file: Path) -> tuple[str, bool]:
    """Returns the password in a file, and whether it had to be made."""
    if file.exists():
        return file.read_text(), False
    password = secrets.token_urlsafe(24)
    write_private(file, password)
    return password, True


async def _known(client: Client) -> set[str]:
    """Returns users as `database.name`."""
    found = await client.admin.command("usersInfo", {"forAllDBs": True})
    return {user["_id"] for user in found["users"]}


async def _make(client: Client, database: str, user: str, password: str, role: dict[str, str]) -> None:
    await client[database].command("createUser", user, pwd=password, roles=[role], mechanisms=["SCRAM-SHA-256"])
