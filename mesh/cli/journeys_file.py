"""Reads a file of journeys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mesh.cli.exits import UsageError
from mesh.cli.journeys_checks import faults
from mesh.cli.journeys_forms import Journey, JourneysForm
from mesh.cli.journeys_roads import Road, read_roads
from mesh.errors import InvalidArgument
from mesh.forms import parse


@dataclass(frozen=True, slots=True)
class Journeys:
    """What a file holds."""

    path: Path
    journeys: list[Journey]
    roads: list[Road]


def read_journeys(path: Path) -> Journeys:
    """Reads and checks a file. Raises UsageError naming file, line and field of everything that is wrong."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    try:
        return _read(text, path)
    except InvalidArgument as error:
        raise UsageError(str(error)) from None


def _read(text: str, path: Path) -> Journeys:
    documents = parse(JourneysForm, text, what="journeys", source=path.name)
    if len(documents) != 1:
        raise InvalidArgument.field("journeys", f"{path.name} must hold one document", rule="required")
    [document] = documents
    found = [
        document.complaint(["journeys", number, *place], problem)
        for number, journey in enumerate(document.form.journeys)
        for place, problem in faults(journey)
    ]
    if found:
        raise InvalidArgument(found)
    roads = read_roads(path.parent / document.form.roads) if document.form.roads else []
    return Journeys(path, document.form.journeys, roads)
