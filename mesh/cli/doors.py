"""`lienthong doors`: who may do what, as the declarations of services and agreements have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mesh.bus import OWN_API
from mesh.cli import agreement_files
from mesh.cli.options import AsJson, DataDir, OneLocality
from mesh.cli.output import out, print_json, print_table
from mesh.config import Settings, load
from mesh.doors.accounts import accounts
from mesh.doors.declared import declared
from mesh.doors.matrix import Matrix
from mesh.doors.principals import Principal
from mesh.doors.subjects import EVERY
from mesh.errors import ConfigurationError
from mesh.installed import installed_services, service_class
from mesh.log_scopes import LOG_SCOPE
from mesh.stack.endpoints import read as read_endpoints
from mesh.stack.nkey import nkey_of
from mesh.stack.permissions import Pair

Accounts = Annotated[
    Path | None,
    typer.Option(
        "--accounts",
        metavar="DIR",
        help="Print the accounts for a nats-server of your own; nkey seeds are kept in DIR, and made where missing.",
    ),
]


def doors(locality: OneLocality = None, data: DataDir = None, as_json: AsJson = False, keys: Accounts = None) -> None:
    """Show every door of a locality and whom it opens to: RPCs, logs, subjects, databases, and the hub.

    Derived from the installed services, as the servers' configuration is. The agreements are those in force where a
    mesh runs, else those that come with the installation. With --json every subject is spelled out.

    Example: lienthong doors --locality hue --json
    """
    settings = load() if data is None else load(data_dir=data)
    services = [declared(service_class(place)) for place in installed_services().values()]
    matrix = Matrix.of(services, locality or settings.locality, _pairs(settings))
    if keys is not None:
        print_json({"accounts": _accounts(matrix, keys)})
    elif as_json:
        print_json(matrix.as_json())
    else:
        _show(matrix)


def _accounts(matrix: Matrix, keys: Path) -> dict[str, Any]:
    doors = {principal.name: principal.door for principal in matrix.principals if principal.on_bus}
    return accounts(doors, {name: nkey_of(keys, name).as_config() for name in doors})


def _pairs(settings: Settings) -> list[Pair]:
    """Pairs the hub lets through now; without a mesh of ours, those of the bundled agreements."""
    try:
        applied = read_endpoints(settings.endpoints_file()).hub_applied
    except ConfigurationError:
        applied = None
    if applied is None:
        return [(agreement.provider, agreement.recipient) for agreement in agreement_files.bundled()]
    return [(provider, recipient) for provider, recipient in json.loads(Path(applied).read_text())["pairs"]]


def _show(matrix: Matrix) -> None:
    print_table(
        ["RPC", "scope", "open to"],
        [
            [f"{rpc.service.rpartition('.')[2]}/{rpc.method}", rpc.scope, ", ".join(matrix.callers(rpc))]
            for rpc in matrix.rpcs
        ],
        title=f"Calls answered in {matrix.locality}",
    )
    out.print()
    print_table(
        ["principal", "reads of logs"],
        [[principal.name, "\n".join(_logs(principal))] for principal in matrix.principals if _logs(principal)],
        title="Logs of other services, over gRPC",
    )
    out.print()
    print_table(
        ["principal", "publishes", "streams of its own", "reads", "listens to"],
        [_subjects(principal) for principal in matrix.principals if principal.on_bus],
        title="NATS",
    )
    out.print()
    print_table(
        ["principal", "database", "role"],
        [[principal.name, *one] for principal in matrix.principals for one in principal.databases],
        title="MongoDB",
    )
    out.print()
    parties = [(pair, party, opened) for pair in matrix.as_json()["hub"] for party, opened in pair["open_to"].items()]
    print_table(
        ["agreement", "leaf link of", "publishes", "receives"],
        [
            [f"{pair['provider']} → {pair['recipient']}", party, "\n".join(to["publish"]), "\n".join(to["subscribe"])]
            for pair, party, to in parties
        ],
        title="The hub",
        empty="no agreement opens anything at the hub",
    )


def _logs(principal: Principal) -> list[str]:
    """Whose events of which topics; what opens everything is not said again."""
    return sorted(
        scope.removeprefix(f"{LOG_SCOPE}:") for scope in principal.scopes if scope.startswith(f"{LOG_SCOPE}:")
    )


def _subjects(principal: Principal) -> list[str]:
    publish = principal.door.publish
    plain = [subject for subject in publish if not subject.startswith(OWN_API)]
    own = [subject.rpartition(".")[2] for subject in publish if subject.startswith(f"{OWN_API}.STREAM.CREATE.")]
    reads = principal.door.reads
    read = [f"{'every log' if of.stream == EVERY else of.stream}: {of.subject or 'all'}" for of in reads]
    return [principal.name, *("\n".join(_few(these)) for these in (plain, own, read, principal.door.subscribe))]


def _few(subjects: list[str] | tuple[str, ...]) -> list[str]:
    """The first of a long list: the rest is alike, one for each locality."""
    return [*subjects[:2], f"… {len(subjects) - 2} more"] if len(subjects) > 8 else list(subjects)
