"""The command line as a whole: which commands there are, and how errors end them."""

from __future__ import annotations

import typer

from mesh.cli.exits import told_in_one_line
from mesh.cli.serve import serve

app = typer.Typer(
    name="lienthong",
    help="A mesh that turns a change in one city sector into its effect wherever it is entitled to be known.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(serve)


@app.callback()
def _root() -> None:
    """A mesh that turns a change in one city sector into its effect wherever it is entitled to be known."""


def main() -> None:
    """Runs the command line of this process."""
    with told_in_one_line():
        app()
