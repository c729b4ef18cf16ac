"""`lienthong keys`: the keys that localities sign tokens with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mesh.cli.options import AsJson, DataDir, OneLocality
from mesh.cli.output import print_json, print_table
from mesh.cli.running import endpoints_of
from mesh.cli.signing import keys_of
from mesh.config import load
from mesh.stack.keys import Keys, Rotation

_LEAD_S = 2.0
"""Services look at a key set when they meet a key they do not know, an edge when what it has is a second old."""

keys = typer.Typer(no_args_is_help=True, help="Keys that localities sign tokens with.")


@keys.callback()
def _root() -> None:
    """Keeps `rotate` a sub-command although it is the only one."""


@keys.command()
def rotate(
    locality: OneLocality = None,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Believe no token of the keys before any more: one was stolen.")
    ] = False,
    data: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Sign with a new key from now on; nothing has to be restarted.

    Tokens of the key before stay good until they end, 30 days at most, except with --at-once. The operator's own
    tokens in endpoints.json are signed anew.

    Example: lienthong keys rotate --locality hue
    """
    settings = load() if data is None else load(data_dir=data)
    file = settings.endpoints_file()
    slugs = [locality] if locality else list(endpoints_of(settings).localities)
    signing = keys_of(data, slugs)
    rotations = {slug: signing.rotate(slug, at_once=at_once, lead_s=_LEAD_S) for slug in slugs}
    if file.exists():
        _sign_operator_tokens(file, signing, slugs)
    if as_json:
        print_json({slug: _as_json(rotation) for slug, rotation in rotations.items()})
        return
    rows = [(slug, rotation.key_id, _shown(rotation)) for slug, rotation in rotations.items()]
    print_table(["locality", "signs with", "still verifies"], rows)


def _sign_operator_tokens(file: Path, signing: Keys, localities: list[str]) -> None:
    endpoints = endpoints_of(load(endpoints=file))
    for slug in set(localities) & endpoints.localities.keys():
        endpoints.localities[slug].token = signing.operator_token(slug)
    endpoints.write(file)


def _as_json(rotation: Rotation) -> dict[str, Any]:
    return {"key": rotation.key_id, "retired": {id: _date(until) for id, until in rotation.retired.items()}}


def _shown(rotation: Rotation) -> str:
    return "\n".join(f"{id} until {_date(until)}" for id, until in rotation.retired.items()) or "–"


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%MZ")
