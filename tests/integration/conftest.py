"""Fixtures of the runtime's tests: hosts of the trial sector, a mongod that fails when told to, servers to knock at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient

from mesh.stack import Stack
from mesh.stack.mongod import Mongod
from mesh.stack.ports import free_port
from tests.conftest import Background, RunningMongod
from tests.hosts import home, homes
from tests.integration.doors import HERE, THERE

__all__ = ["failing_mongod", "home", "homes"]


class FailingMongod(RunningMongod):
    """A mongod whose commands fail while told so."""

    @contextmanager
    def failing(self, *commands: str, **how: Any) -> Iterator[None]:
        """While inside, these commands fail: `errorCode=…`, `closeConnection=True` or `writeConcernError={…}`.

        https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point
        """
        with MongoClient[dict[str, Any]](self.uri, directConnection=True) as client:
            data = {"failCommands": list(commands), **how}
            client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
            try:
                yield
            finally:
                client.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.fixture(scope="session")
def failing_mongod(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingMongod]:
    """A mongod that can be told to fail; it is not stopped, and each test takes databases of its own."""
    folder = tmp_path_factory.mktemp("failing-mongod")
    server = Mongod(folder / "data", free_port(), password="secret", log=folder / "log")
    server.child._command += ["--setParameter", "enableTestCommands=1"]
    running = FailingMongod(server, background)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def stack(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The servers of two localities as `lienthong up` starts them, with nobody at their doors yet."""
    stack = Stack([HERE, THERE], tmp_path_factory.mktemp("doors"), serve=False, mongodb_uri="mongodb://nowhere/")
    background.run(stack.__aenter__())
    yield stack
    background.run(stack.__aexit__(None, None, None))
