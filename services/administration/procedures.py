"""Administrative procedures and the working days each may take (`procedures.csv`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True, slots=True)
class Procedure:
    """What a citizen may ask for."""

    code: str
    name: str
    working_days: int
    """From acceptance, whose day is not counted."""


def procedure_code(text: str) -> str:
    """The code without the agency: `1.004194` of `1.004194.000.00.00.H17`."""
    return ".".join(text.split(".")[:2])


def procedure_of(code: str) -> Procedure | None:
    """The procedure, by its code without agency; None when it is not known here."""
    return _PROCEDURES.get(code)


def _read() -> dict[str, Procedure]:
    rows = csv.DictReader(files(__package__).joinpath("procedures.csv").read_text("utf-8").splitlines())
    return {row["code"]: Procedure(row["code"], row["name"], int(row["working_days"])) for row in rows}


_PROCEDURES: Final = _read()
