"""`lienthong edge`: Envoy's configuration for an edge that `lienthong up` does not start. The gateway writes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from mesh.cli.exits import UsageError
from mesh.cli.output import out
from mesh.config import IssuerSettings, load
from mesh.events import sector_of
from mesh.public import PublicContracts
from mesh.stack.edge import EdgeCommand, registered
from mesh.stack.edge_place import EdgeFiles, EdgePlace

_ADDRESS: Final = re.compile(r"([A-Za-z0-9_.-]+):([0-9]{1,5})")
_LONGEST_SOCKET: Final = 107
"""Bytes in the path of a Unix socket (`sockaddr_un`)."""

edge = typer.Typer(no_args_is_help=True, help="The one port for outsiders, where `lienthong up` does not start it.")


@edge.callback()
def _root() -> None:
    """Keeps `config` a sub-command although it is the only one."""


@edge.command()
def config(
    services: Annotated[
        list[str],
        typer.Option(
            metavar="[NAME=]HOST:PORT",
            help="Where a service answers; without NAME, all that are not named. May be repeated.",
        ),
    ],
    jwks: Annotated[
        str, typer.Option(metavar="FILE|URL", help="Keys the locality signs tokens with, as Envoy finds them.")
    ],
    credentials: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder with tls.pem, tls-key.pem and ca.pem, as Envoy finds it.")
    ],
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write; made where it is missing.")],
    at: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where Envoy will find that folder, if not where it is written."),
    ] = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where outsiders are answered.")] = "0.0.0.0:8443",
    admin: Annotated[
        Path, typer.Option(metavar="FILE", help="Unix socket of Envoy's administration, made by Envoy.")
    ] = Path("/tmp/envoy.admin"),
    locality: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Whose edge it is; default: LIENTHONG_LOCALITY.")
    ] = None,
) -> None:
    """Write all that Envoy reads to be a locality's edge: its configuration, contracts and documents.

    Limits, origins of pages, whose tokens are taken and where spans go are settings, the same as in `lienthong up`:
    LIENTHONG_EDGE__…, LIENTHONG_AUTH__ISSUERS, LIENTHONG_OTLP_ENDPOINT (`lienthong config` lists them). Files that
    these name are such as Envoy finds them.

    Example: lienthong edge config --locality hue --services mesh:7000 --services health=health:7000
    --jwks /etc/keys/hue.jwks.json --credentials /etc/tls --out edge --at /etc/envoy
    """
    settings = load() if locality is None else load(locality=locality)
    host, port = _address("--listen", listen)
    everywhere, elsewhere = _services(services)
    place = EdgePlace(
        locality=settings.locality,
        host=host,
        port=port,
        services=everywhere,
        keys=_key_set(jwks),
        credentials=_absolute("--credentials", credentials),
        elsewhere=elsewhere,
    )
    found = _absolute("--at", at) if at is not None else folder.absolute()
    command = _write(place, EdgeFiles(folder, documents=folder, admin=_socket(admin), at=found))
    ours = f"--config-path {found / command.configuration.name} --concurrency {command.threads}"
    out.print(f"{folder} is written. Run: envoy {ours}", soft_wrap=True)


def _write(place: EdgePlace, files: EdgeFiles) -> EdgeCommand:
    configure, documents = registered("configure"), registered("documents")
    if configure is None or documents is None:
        raise UsageError("the gateway is not installed here, and it is what configures the edge")
    try:
        documents(files.folder)
        command: EdgeCommand = configure(place, files)
    except OSError as error:
        raise UsageError(f"--out {files.folder}: cannot be written: {error.strerror}") from None
    return command


def _services(given: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The address of all that are not named, and of each that is."""
    known = sorted({sector_of(service.file.package) for service in PublicContracts().services})
    addresses: dict[str, str] = {}
    for one in given:
        name, _, address = one.rpartition("=")
        _address("--services", address)
        if name and name not in known:
            raise UsageError(f"--services {one}: outsiders call no service {name}; they call {', '.join(known)}")
        if name in addresses:
            raise UsageError(f"--services {one}: {name or 'what is not named'} has an address already")
        addresses[name] = address
    everywhere = addresses.pop("", "")
    if not everywhere and (missing := [name for name in known if name not in addresses]):
        raise UsageError(
            f"--services names no address of {', '.join(missing)}; give each, or one HOST:PORT for the rest"
        )
    return everywhere, addresses


def _address(option: str, given: str) -> tuple[str, int]:
    parts = _ADDRESS.fullmatch(given)
    if parts is None or not 0 < int(parts[2]) < 65536:
        raise UsageError(f"{option} {given!r}: expected HOST:PORT, such as 10.0.0.7:7000")
    return parts[1], int(parts[2])


def _key_set(given: str) -> Path | str:
    """As the keys of any issuer: what came over the open net unprotected could be anybody's."""
    try:
        IssuerSettings(jwks=given)
    except ValidationError:
        raise UsageError(f"--jwks {given!r}: expected a file or an https:// URL") from None
    return given if "://" in given else _absolute("--jwks", Path(given))


def _absolute(option: str, given: Path) -> Path:
    if not given.is_absolute():
        raise UsageError(f"{option} {given}: expected a full path, as Envoy finds it where it runs")
    return given


def _socket(given: Path) -> Path:
    if len(bytes(_absolute("--admin", given))) > _LONGEST_SOCKET:
        raise UsageError(f"--admin {given}: the path of a socket has at most {_LONGEST_SOCKET} bytes")
    return given
