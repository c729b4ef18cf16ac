"""YAML files that people fill in: every complaint names the file, the line and the field, all of a document at once.

A form is a pydantic model. What a form cannot judge by itself is complained of with `complaint`, in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mesh.errors import InvalidArgument, Violation

Path = Sequence[str | int]
"""Keys and places that lead to a part of a document."""


class Form(BaseModel):
    """Some keys and their values; others are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


F = TypeVar("F", bound=Form)


@dataclass(frozen=True, slots=True)
class Filled(Generic[F]):
    """One document of a file."""

    form: F
    node: yaml.Node
    what: str
    """What the document is, for complaints about the whole of it."""
    source: str
    """Name of the file."""

    def complaint(self, path: Path, problem: str, rule: str = "invalid") -> Violation:
        """What is wrong with a part of the document."""
        return _complaint(self.node, path, problem, rule, self.what, self.source)


def parse(form: type[F], text: str, *, what: str, source: str) -> list[Filled[F]]:
    """Reads every document of a text as such a form. Raises InvalidArgument."""
    return [_parse_one(form, node, data, what, source) for node, data in _documents(text, what, source)]


class _Loader(yaml.SafeLoader):
    """Leaves dates as text (a wrong one would end in a traceback without a line) and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _documents(text: str, what: str, source: str) -> Iterator[tuple[yaml.Node, object]]:
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None, "check_node() said there is one"
            yield node, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidArgument.field(what, f"{error.problem} ({source} line {line})", rule="yaml") from error
    except (yaml.YAMLError, ValueError) as error:  # PyYAML lets int("0b_") through as it is
        raise InvalidArgument.field(what, f"{error} ({source})", rule="yaml") from error


def _parse_one(form: type[F], node: yaml.Node, data: object, what: str, source: str) -> Filled[F]:
    try:
        return Filled(form.model_validate(data), node, what, source)
    except ValidationError as error:
        found = [(list(one["loc"]), _problem(form, one), one["type"]) for one in error.errors()]
        raise InvalidArgument([_complaint(node, *one, what, source) for one in found]) from error


def _problem(form: type[Form], found: Any) -> str:
    told: str = found["msg"].removeprefix("Value error, ")
    known = {
        "missing": "is missing",
        "extra_forbidden": f"is not a key here; the keys are {_known_keys(form, found['loc'])}",
        "model_type": "expects lines of `key: value`",
    }
    return known.get(found["type"], told)


def _complaint(node: yaml.Node, path: Path, problem: str, rule: str, what: str, source: str) -> Violation:
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return Violation(field or what, rule, f"{problem} ({source} line {_line(node, path)})")


def _known_keys(form: type[Form], path: Path) -> str:
    """Keys of the form at the end of a path but for its last step."""
    for step in path[:-1]:
        fields = {field.alias or name: field for name, field in form.model_fields.items()}
        if step in fields:
            form = next(_forms_in(fields[str(step)].annotation), form)
    return ", ".join(field.alias or name for name, field in form.model_fields.items())


def _forms_in(annotation: Any) -> Iterator[type[Form]]:
    """Forms that a type is made of: those of `list[Step]`, `dict[str, View]`, `Objective | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Form):
        yield annotation
    for part in get_args(annotation):
        yield from _forms_in(part)


def _line(node: yaml.Node, path: Path) -> int:
    """Line of the deepest part of `path` that is in the file."""
    line = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == step), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
