"""Codes of agencies (Decision 20/2020/QĐ-TTg, amended by 09/2025/QĐ-TTg): `H17.01`, from the whole to its part.

The form before it ran the other way, in as many parts as there are levels: `000.00.01.H17`.
"""

from __future__ import annotations

import re
from typing import Final

from mesh.errors import InvalidArgument

# The first part names a ministry or a locality: a letter and two digits.
_ROOT: Final = re.compile(r"[A-Z][0-9]{2}")
_PART: Final = re.compile(r"[A-Z0-9]{2,3}")
_MOST_PARTS: Final = 5


def agency_code(text: str, field: str) -> str:
    """The code in today's form; raises `InvalidArgument` for the field when it is none."""
    parts = text.split(".")
    if not _ROOT.fullmatch(parts[0]):
        parts = _turned(parts)
    well_formed = _ROOT.fullmatch(parts[0]) and all(map(_PART.fullmatch, parts)) and len(parts) <= _MOST_PARTS
    if not well_formed:
        raise InvalidArgument.field(field, "must be the code of an agency, as H17.01 or 000.00.01.H17", rule="agency")
    return ".".join(parts)


def _turned(parts: list[str]) -> list[str]:
    """Parts of the older form in today's order, without the levels that an agency does not have."""
    while len(parts) > 1 and not parts[0].strip("0"):
        parts = parts[1:]
    return parts[::-1]
