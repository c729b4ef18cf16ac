"""The command line as a whole: which commands there are, and how errors end them."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from mesh.cli.agreements import agreements
from mesh.cli.api import api
from mesh.cli.call import call
from mesh.cli.certificates import certificates
from mesh.cli.config import config
from mesh.cli.doors import doors
from mesh.cli.edge import edge
from mesh.cli.events import events
from mesh.cli.exits import told_in_one_line
from mesh.cli.journeys import journeys
from mesh.cli.keys import keys
from mesh.cli.letters import dead_letters
from mesh.cli.replay import replay
from mesh.cli.serve import serve
from mesh.cli.status import status
from mesh.cli.token import token
from mesh.cli.up import up
from mesh.cli.verify import verify

_HELP = "A change in one city sector, in effect wherever it is entitled to be known: run it, watch it, check it."

app = typer.Typer(
    name="lienthong",
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (up, serve, replay, journeys, call, api, status, verify, token, config, doors):
    app.command()(command)
app.add_typer(events, name="events")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(agreements, name="agreements")
app.add_typer(keys, name="keys")
app.add_typer(certificates, name="certificates")
app.add_typer(edge, name="edge")


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(metadata.version("lienthong"))
        raise typer.Exit


@app.callback(help=_HELP)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and end.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line of this process."""
    with told_in_one_line():
        app()
