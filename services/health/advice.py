"""What each band of VN_AQI means for people, in Vietnamese (Decision 1459/QĐ-TCMT; `advice.csv`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do."""

    everyone: str
    sensitive: str
    """Children, the elderly, the pregnant, people with diseases of heart or lungs."""


def advice_for(band: int) -> Advice:
    """Advice for a `lienthong.environment.v1.Band`; the general one for a band not known here."""
    return _ADVICE.get(band, _ADVICE[_GENERAL])


def _read() -> dict[int, Advice]:
    rows = csv.DictReader(files(__package__).joinpath("advice.csv").read_text("utf-8").splitlines())
    return {int(row["band"]): Advice(row["everyone"], row["sensitive"]) for row in rows}


_GENERAL: Final = 0
_ADVICE: Final = _read()
