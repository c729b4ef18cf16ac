"""Journeys as they went: a short table each for people, and all of it for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from mesh.cli import field_paths
from mesh.cli.event_lines import event_json, said
from mesh.cli.journeys_walked import Standing, Walked, WalkedJourney
from mesh.cli.output import name_of, short, table
from mesh.cli.requests import as_json
from mesh.cli.tailing import Seen

_COLUMNS: Final = ("step", ">after", "where", "what came of it, and what stands then")
_LONGEST: Final = 200


def shown(gone: WalkedJourney) -> RenderableType:
    """One journey for people."""
    title = Text(gone.journey.title, "bold")
    if gone.absent:
        return title.append(f"  left out: {', '.join(map(name_of, gone.absent))} does not run here", "dim not bold")
    rows = [row for walked in gone.steps for row in _step_rows(walked)]
    parts: list[RenderableType] = [title, _table(rows)]
    parts += [Text(problem, "red") for problem in gone.problems]
    parts += [Text(f"{step.step.title}: {problem}", "red") for step in gone.steps for problem in step.problems]
    return Group(*parts)


def _table(rows: list[list[Any]]) -> RenderableType:
    made = table(_COLUMNS, ())
    for row in rows:
        made.add_row(*row)
    return made


def _step_rows(walked: Walked) -> Iterator[list[Any]]:
    """The step's title stands beside the first thing that came of it."""
    rows = [*_event_rows(walked), *_standing_rows(walked.standing)]
    if not rows:
        rows = [[_ms(walked.answered_s), Text(name_of(walked.step.at), "cyan"), Text(walked.step.call, "dim")]]
    for number, row in enumerate(rows):
        yield [walked.step.title if number == 0 else "", *row]


def _event_rows(walked: Walked) -> Iterator[list[Any]]:
    """One row for what the step asks for of one topic at one place, when the first of it came."""
    rows: dict[tuple[str, str, str], list[Seen]] = {}
    for seen in sorted(walked.came, key=lambda seen: seen.at):
        if short(seen.event.type) in walked.step.events.get(seen.locality, ()):
            rows.setdefault((seen.locality, seen.event.origin, seen.event.topic), []).append(seen)
    for (slug, origin, _), came in rows.items():
        names = Counter(short(seen.event.type) for seen in came)
        what = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in names.items())
        yield [_ms(came[0].at - walked.began), _where(slug, origin), what]


def _where(slug: str, origin: str) -> Text:
    """`Đà Nẵng → Huế` is an event of Đà Nẵng seen in Huế."""
    if slug == origin:
        return Text(name_of(slug), "cyan")
    return Text.assemble((name_of(origin), "cyan"), (" → ", "bold yellow"), (name_of(slug), "cyan"))


def _standing_rows(standing: Sequence[Standing]) -> Iterator[list[Any]]:
    for view in standing:
        for row in view.rows:
            what = Text.assemble((view.name, "bold"), f": {_words(view, row)}")
            yield [Text("stands", "magenta" if view.met else "red"), Text(name_of(view.locality), "cyan"), what]
    if over := dict.fromkeys(view.name for view in standing if not view.expected and view.met):
        yield [Text("undone", "green"), "", ", ".join(over)]


def _words(standing: Standing, row: Any) -> str:
    parts = (
        ", ".join(said(*found, longest=_LONGEST) for found in field_paths.values(row, path))
        for path in standing.view.show
    )
    return " · ".join(part for part in parts if part)


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:,.0f} ms"


def journey_json(gone: WalkedJourney) -> dict[str, Any]:
    """One journey for programs."""
    return {
        "title": gone.journey.title,
        "met": gone.met,
        "absent": gone.absent,
        "problems": gone.problems,
        "steps": [_step_json(walked) for walked in gone.steps],
    }


def _step_json(walked: Walked) -> dict[str, Any]:
    return {
        "title": walked.step.title,
        "locality": walked.step.at,
        "call": walked.step.call,
        "trace_id": walked.trace,
        "answered_ms": None if walked.answered_s is None else round(walked.answered_s * 1000, 1),
        "events": [
            {"after_ms": round((seen.at - walked.began) * 1000, 1), **event_json(seen.event, seen.locality)}
            for seen in walked.came
        ],
        "stands": [
            {
                "view": standing.name,
                "locality": standing.locality,
                "expected": standing.expected,
                "rows": [as_json(row) for row in standing.rows],
            }
            for standing in walked.standing
        ],
        "problems": walked.problems,
    }
