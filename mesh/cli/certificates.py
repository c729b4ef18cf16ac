"""`lienthong certificates`: who holds which certificate, until when; and new ones now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mesh.cli.options import AsJson, DataDir
from mesh.cli.output import duration, out, print_json, print_table
from mesh.config import load
from mesh.stack.certificates import Certificates, Held, existing

certificates = typer.Typer(help="Certificates of a mesh on this machine.", no_args_is_help=True)


@certificates.command()
def show(data: DataDir = None, as_json: AsJson = False) -> None:
    """List the authorities, and the certificate of each service, edge and operator.

    Example: lienthong certificates show
    """
    held = list(_of(data).held())
    if as_json:
        print_json([_as_json(one) for one in held])
        return
    print_table(["who", "signed by", "since", "until", ">left"], [_row(one) for one in held])


@certificates.command()
def renew(
    data: DataDir = None,
    authority: Annotated[
        bool, typer.Option("--authority", help="Also begin a new authority; it signs when everybody has long known it.")
    ] = False,
) -> None:
    """Renew every certificate now. What runs takes them up by itself: nothing is restarted, no call is lost.

    A running mesh renews them in time without being told; this is for keys that somebody may have seen.

    Example: lienthong certificates renew
    """
    known = _of(data)
    known.renew(authority=authority)
    if authority:
        days = known.lifetimes.overlap.days
        out.print(f"A new authority is believed from now on and signs in {days} days; pass on {known.ca}.")
    out.print("Every certificate is new.")


def _of(data: Path | None) -> Certificates:
    settings = load() if data is None else load(data_dir=data)
    return existing(settings.endpoints_file().parent)


def _row(held: Held) -> list[str]:
    left = (held.ends_at - datetime.now(UTC)).total_seconds()
    return [
        held.holder,
        held.signer,
        _minute(held.begins_at),
        _minute(held.ends_at),
        duration(left) if left > 0 else "[red]ended[/red]",
    ]


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"


def _as_json(held: Held) -> dict[str, str]:
    return {
        "holder": held.holder,
        "signer": held.signer,
        "begins_at": held.begins_at.isoformat(),
        "ends_at": held.ends_at.isoformat(),
        "file": str(held.file),
    }
