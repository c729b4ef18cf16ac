"""What the public is told, in Vietnamese (`notice_texts.csv`).

No number that goes on changing is told, such as the stage or the index: a notice stands until the next event, and would
soon be wrong.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from lienthong.administration.v1 import NoticeKind, NoticeSeverity


@dataclass(frozen=True, slots=True)
class Wording:
    """How a happening of one kind and level is told."""

    severity: int
    """A `lienthong.administration.v1.NoticeSeverity`."""
    headline: str
    text: str

    def at(self, place: str) -> Wording:
        """The same, naming where."""
        return Wording(self.severity, self.headline.replace(_PLACE, place), self.text.replace(_PLACE, place))


def wording_for(kind: int, level: int, *, is_own: bool = True) -> Wording:
    """How to tell a level of a `NoticeKind` here, or of a peer; the general wording for a level not known here."""
    return _WORDINGS.get((kind, level, is_own)) or _WORDINGS[kind, _GENERAL, is_own]


def _read() -> dict[tuple[int, int, bool], Wording]:
    rows = csv.DictReader(files(__package__).joinpath("notice_texts.csv").read_text("utf-8").splitlines())
    return {
        (NoticeKind.Value(f"NOTICE_KIND_{row['kind']}"), int(row["level"]), row["whose"] == "own"): Wording(
            NoticeSeverity.Value(f"NOTICE_SEVERITY_{row['severity']}"), row["headline"], row["text"]
        )
        for row in rows
    }


_PLACE: Final = "{place}"
_GENERAL: Final = 0
_WORDINGS: Final = _read()
