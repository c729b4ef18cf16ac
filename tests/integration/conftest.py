"""Fixtures of the runtime's tests: hosts of the trial sector, and a mongod that fails when told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient

from mesh.stack.mongod import Mongod
from mesh.stack.ports import free_port
from tests.conftest import Background, RunningMongod
from tests.hosts import home, homes

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
