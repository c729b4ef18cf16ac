"""Every setting with its type, default, value and meaning, as `lienthong config` shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from mesh.config import PREFIX, SEPARATOR, Settings

HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as `lienthong config` shows it."""

    name: str
    """Environment variable: `LIENTHONG_RUNTIME__WORKERS`."""
    type: str
    default: str
    value: str
    """Value in force; secrets are hidden."""
    description: str


def describe(settings: Settings) -> list[Setting]:
    """Lists every setting of `settings`, groups last, in the order they are declared."""
    return list(_described(type(settings), settings, PREFIX))


def _described(model: type[BaseModel], holder: BaseModel, prefix: str) -> Iterator[Setting]:
    groups = []
    for name, field in model.model_fields.items():
        value = getattr(holder, name)
        variable = prefix + name.upper()
        if isinstance(value, BaseModel):
            groups.append((type(value), value, variable + SEPARATOR))
        else:
            default = "" if field.default_factory else _shown(field.get_default())
            yield Setting(variable, _type_name(field.annotation), default, _shown(value), field.description or "")
    for group in groups:
        yield from _described(*group)


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if get_origin(annotation) is dict:
        return "map"
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if arguments:
        return " | ".join(_type_name(argument) for argument in arguments)
    names = {str: "text", int: "integer", float: "number", bool: "true | false", Path: "path", SecretStr: "secret"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, dict):
        return ", ".join(f"{key}={entry}" for key, entry in value.items())
    if isinstance(value, float):
        return f"{value:g}"
    return _without_password(str(value)) if "://" in str(value) else str(value)


def _without_password(url: str) -> str:
    password = urlsplit(url).password
    return url.replace(f":{password}@", f":{HIDDEN}@", 1) if password else url
