"""What can be wrong with journeys before they are walked: localities, methods, requests, events, fields.

All of it is judged by the installed contracts, so that a journey does not break off in the middle for a misspelling.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from mesh import localities
from mesh.cli import field_paths
from mesh.cli.exits import UsageError
from mesh.cli.journeys_calls import method_named
from mesh.cli.journeys_filling import RUN, filled
from mesh.cli.journeys_forms import Call, Journey, Step, View
from mesh.cli.output import short
from mesh.cli.requests import request_of
from mesh.events import catalogue
from mesh.forms import Path
from mesh.validation import violations

Found = tuple[Path, str]
"""Where something is wrong within a journey, and what."""


def faults(journey: Journey) -> Iterator[Found]:
    """All that is wrong with a journey."""
    names = {RUN: "run"}
    for number, call in enumerate(journey.prepare):
        yield from _in(["prepare", number], _of_call(call, names))
    for number, step in enumerate(journey.steps):
        yield from _in(["steps", number], _of_call(step, names))
        yield from _in(["steps", number], _of_step(step, journey, names))
    for name, view in journey.views.items():
        yield from _in(["views", name], _of_view(view, names))


def _of_call(call: Call, names: dict[str, str]) -> Iterator[Found]:
    """Faults of a call; adds what it keeps to the names that later ones may use."""
    yield from _of_request(call, names)
    with suppress(UsageError):
        answer = method_named(call.call).output_type
        for name, path in call.keep.items():
            if problem := _refused(field_paths.check, answer, path):
                yield ["keep", name], problem
    names |= dict.fromkeys(call.keep, "kept")


def _of_request(asked: Call | View, names: dict[str, str]) -> Iterator[Found]:
    for slug in [asked.at] if isinstance(asked.at, str) else asked.at:
        yield from _of_locality(slug, ["at"])
    try:
        method = method_named(asked.call)
    except UsageError as error:
        yield ["call"], str(error)
        return
    if problem := _unfilled(asked.request, names):
        yield ["request"], problem
        return
    try:
        given = filled(asked.request, names, datetime.now(UTC))
        for violation in violations(request_of(method, given, request_id="checked")):
            yield ["request"], str(violation)
    except UsageError as error:
        yield ["request"], str(error)


def _of_locality(slug: str, place: Path) -> Iterator[Found]:
    if slug not in localities.slugs():
        yield place, f"there is no locality {slug}; slugs look like da-nang"


def _of_step(step: Step, journey: Journey, names: dict[str, str]) -> Iterator[Found]:
    known = {short(kind.name) for kind in catalogue()}
    for slug, types in step.events.items():
        yield from _of_locality(slug, ["events", slug])
        for number, name in enumerate(types):
            if name not in known:
                yield ["events", slug, number], f"no installed contract has an event {name}"
    for name in step.stands:
        if name not in journey.views:
            yield ["stands", name], f"there is no such view; there are {', '.join(journey.views) or 'none'}"
        elif problem := _unfilled([journey.views[name].request, journey.views[name].where], names):
            yield ["stands", name], problem


def _of_view(view: View, names: dict[str, str]) -> Iterator[Found]:
    yield from _of_request(view, names)
    with suppress(UsageError):
        method = method_named(view.call)
        if problem := _refused(_listing, method, "next_page_token"):
            yield ["call"], problem
            return
        row = field_paths.rows_field(method.output_type).message_type
        paths: list[tuple[list[str | int], str]] = [(["show", number], path) for number, path in enumerate(view.show)]
        paths += [(["where", path], path) for path in view.where]
        for place, path in paths:
            if problem := _refused(field_paths.check, row, path):
                yield place, problem
    if problem := _unfilled(view.where, names):
        yield ["where"], problem


def _listing(method: MethodDescriptor, token: str) -> None:
    field_paths.rows_field(method.output_type)
    field_paths.check(method.output_type, token)


def _unfilled(written: Any, names: dict[str, str]) -> str:
    """Says which name in what is written is not known yet; empty when all are."""
    try:
        filled(written, names, datetime.now(UTC))
    except KeyError as unknown:
        return f"nothing is kept as {unknown.args[0]} before; there are {', '.join(sorted(names))}"
    return ""


def _refused(check: Any, of: Any, path: str) -> str:
    """What a check says is wrong; empty for nothing."""
    try:
        check(of, path)
    except UsageError as error:
        return str(error)
    return ""


def _in(path: Path, found: Iterator[Found]) -> Iterator[Found]:
    for inner, problem in found:
        yield [*path, *inner], problem
