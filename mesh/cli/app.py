"""The command line as a whole: which commands there are, and how errors end them."""

from __future__ import annotations

import typer

from mesh.cli.config import config
from mesh.cli.exits import told_in_one_line
from mesh.cli.serve import serve
from mesh.cli.status import status
from mesh.cli.verify import verify

_HELP = "A change in one city sector, in effect wherever it is entitled to be known: run it, watch it, check it."

app = typer.Typer(
    name="lienthong",
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (serve, status, verify, config):
    app.command()(command)


@app.callback(help=_HELP)
def _root() -> None:
    pass


def main() -> None:
    """Runs the command line of this process."""
    with told_in_one_line():
        app()
