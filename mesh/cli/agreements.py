"""`lienthong agreements`: what localities let each other know."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from lienthong.exchange.v1 import Agreement, AnsweredLookup, ListLookupsRequest
from mesh.cli import agreement_changes, agreement_files
from mesh.cli.agreement_changes import Change
from mesh.cli.agreement_state import held_at, state_name
from mesh.cli.options import AsJson, DataDir, OneLocality
from mesh.cli.output import err, out, print_json, print_table, short
from mesh.cli.running import EXCHANGE, RunningMesh, with_mesh

agreements = typer.Typer(help="What localities let each other know, for whom and why.", no_args_is_help=True)

AgreementId = Annotated[str, typer.Argument(metavar="ID", help="Such as dn-hue-air-1.")]


@agreements.command("list")
def list_(locality: OneLocality = None, data: DataDir = None, as_json: AsJson = False) -> None:
    """List agreements as each party holds them.

    Example: lienthong agreements list
    """
    held = with_mesh(data, lambda mesh: _held(mesh, locality))
    if as_json:
        print_json([{"held_at": slug, **_as_json(agreement)} for slug, agreement in held])
        return
    columns = ["agreement", "held at", "from", "to", "state", "events", "lookups", "purpose", "until", ">carried"]
    print_table(columns, [_row(slug, agreement) for slug, agreement in held], empty="No agreements: nothing crosses.")


@agreements.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML, one agreement per document; or a folder.")],
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Apply agreements at both parties and wait until the broker lets their events through.

    Applying one again changes nothing.

    Example: lienthong agreements apply examples/agreements/
    """
    wanted = agreement_files.read(file)
    _tell(with_mesh(data, lambda mesh: _apply(mesh, wanted)), as_json)


@agreements.command()
def suspend(id: AgreementId, data: DataDir = None, as_json: AsJson = False) -> None:
    """Stop an agreement for now; what happens meanwhile is not delivered later.

    Example: lienthong agreements suspend dn-hue-air-1
    """
    _change(id, Change.SUSPEND, data, as_json)


@agreements.command()
def resume(id: AgreementId, data: DataDir = None, as_json: AsJson = False) -> None:
    """Let a suspended agreement carry events again, from now on.

    Example: lienthong agreements resume dn-hue-air-1
    """
    _change(id, Change.RESUME, data, as_json)


@agreements.command()
def revoke(id: AgreementId, data: DataDir = None, as_json: AsJson = False) -> None:
    """End an agreement for good; what it left in streams is purged.

    Example: lienthong agreements revoke dn-hue-air-1
    """
    _change(id, Change.REVOKE, data, as_json)


@agreements.command()
def lookups(
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Only those under this agreement.")] = None,
    locality: OneLocality = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Most to show of each locality.")] = 100,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List who looked up what in a locality, newest first; what was asked and answered is not kept.

    Example: lienthong agreements lookups hue-dn-lookup-1
    """
    request = ListLookupsRequest(agreement_id=id or "", page_size=limit)
    found = with_mesh(data, lambda mesh: _looked_up(mesh, locality, request))
    if as_json:
        print_json([{"looked_up_in": slug, **_as_dict(lookup)} for slug, lookup in found])
        return
    columns = ["at", "in", "by", "lookup", "outcome", "agreement", "purpose"]
    print_table(columns, [_lookup_row(slug, lookup) for slug, lookup in found], empty="Nobody has looked up anything.")


def _change(id: str, what: Change, data: Path | None, as_json: bool) -> None:
    async def changed(mesh: RunningMesh) -> list[Agreement]:
        return [await agreement_changes.change(mesh, id, what)]

    _tell(with_mesh(data, changed), as_json)


async def _held(mesh: RunningMesh, locality: str | None) -> list[tuple[str, Agreement]]:
    held = [(slug, agreement) for slug in mesh.chosen(locality) for agreement in await held_at(mesh, slug)]
    return sorted(held, key=lambda pair: (pair[1].id, pair[0] != pair[1].provider))


async def _looked_up(
    mesh: RunningMesh, locality: str | None, request: ListLookupsRequest
) -> list[tuple[str, AnsweredLookup]]:
    found: list[tuple[str, AnsweredLookup]] = []
    for slug in mesh.chosen(locality):
        if "exchange" in await mesh.services(slug):
            page = await mesh.client(slug, EXCHANGE).call("ListLookups", request)
            found += [(slug, lookup) for lookup in page.lookups]
    return found


def _lookup_row(slug: str, lookup: AnsweredLookup) -> list[str]:
    return [
        lookup.at.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        slug,
        lookup.recipient,
        _method(lookup.rpc),
        lookup.outcome,
        lookup.agreement,
        lookup.purpose,
    ]


def _method(rpc: str) -> str:
    return rpc.rpartition("/")[2]


async def _apply(mesh: RunningMesh, wanted: list[Agreement]) -> list[Agreement]:
    with err.status("applying"):
        return [await agreement_changes.apply(mesh, agreement) for agreement in wanted]


def _tell(changed: list[Agreement], as_json: bool) -> None:
    if as_json:
        print_json([_as_json(agreement) for agreement in changed])
        return
    for one in changed:
        out.print(f"{one.id}: {one.provider} → {one.recipient} is {state_name(one.state)} at both, and in force")


def _row(slug: str, agreement: Agreement) -> list[str]:
    return [
        agreement.id,
        slug,
        agreement.provider,
        agreement.recipient,
        state_name(agreement.state),
        ", ".join(short(event.type) for event in agreement.events),
        ", ".join(_method(granted.rpc) for granted in agreement.lookups),
        agreement.purpose,
        agreement.valid_until.ToDatetime(UTC).strftime("%Y-%m-%d"),
        f"{agreement.carried:,}",
    ]


def _as_json(agreement: Agreement) -> dict[str, Any]:
    return {**_as_dict(agreement), "state": state_name(agreement.state), "carried": agreement.carried}


def _as_dict(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return shown
