"""Fixtures of the runtime's tests: hosts of the trial sector, and a mongod that fails when told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
        uri = self.uri + "&directConnection=true"
        with MongoClient[dict[str, Any]](uri) as client:
            data = {"failCommands": list(commands), **how}
            client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
            try:
                yield
            finally:
                if self.running:
                    client.admin.command("configureFailPoint", "failCommand", mode="off")

    running = True

    def kill(self, *, restart: bool = False) -> None:
        self.running = False
        super().kill(restart=restart)

    def start(self) -> None:
        super().start()
        self.running = True


@pytest.fixture
def failing_mongod(background: Background, tmp_path: Path) -> Iterator[FailingMongod]:
    """A mongod of this test's own that can be told to fail."""
    server = Mongod(tmp_path / "failing", free_port(), log=tmp_path / "failing.log")
    server.child._command += ["--setParameter", "enableTestCommands=1"]
    running = FailingMongod(server, background)
    running.start()
    try:
        yield running
    finally:
        running.stop()
