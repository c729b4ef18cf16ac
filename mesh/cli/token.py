"""`lienthong token`: a token to call a locality with."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from mesh.cli.exits import UsageError
from mesh.cli.options import DataDir
from mesh.cli.scopes import check_scopes
from mesh.cli.signing import keys_of
from mesh.config import load
from mesh.stack.keys import LONGEST_TOKEN_LIFE

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def token(
    subject: Annotated[str, typer.Option(metavar="NAME", help="Who will call; calls are counted and audited by it.")],
    scope: Annotated[list[str], typer.Option(metavar="SCOPE", help="What it may do; may be repeated. * is all.")],
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What it wants what it asks for.")] = "",
    ttl: Annotated[str, typer.Option(metavar="TIME", help="How long it is good: 90s, 15m, 1h, 30d.")] = "1h",
    locality: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Locality to call; default: LIENTHONG_LOCALITY.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Print a token for calls to a locality of the mesh on this machine, signed with the locality's key.

    Send it as `authorization: Bearer TOKEN`. Whoever has it may do what it says until it ends.

    Example: lienthong token --subject sensor-gateway --scope environment.write --ttl 15m
    """
    check_scopes(scope)
    life = _life(ttl)
    slug = locality or load().locality
    print(keys_of(data, [slug]).token(slug, _subject(subject), scope, ttl=life, purpose=purpose.strip()))


def _subject(text: str) -> str:
    if not text.strip():
        raise UsageError("--subject: expected a name, such as sensor-gateway")
    return text.strip()


def _life(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    life = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)
    if not timedelta(0) < life <= LONGEST_TOKEN_LIFE:
        raise UsageError(f"--ttl {text}: expected 90s, 15m, 1h, at most {LONGEST_TOKEN_LIFE.days}d")
    return life
