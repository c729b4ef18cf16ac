"""Options that several commands share, so that each is spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables for people.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the mesh, as given to `lienthong up`; default: .lienthong."),
]
OneLocality = Annotated[
    str | None, typer.Option("--locality", metavar="SLUG", help="Only this locality; by default every running one.")
]
