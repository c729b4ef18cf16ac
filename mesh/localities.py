"""The provinces and cities that can run a node, and the units they were before 1 July 2025."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

NATIONAL = "national"
"""Slug of the hub node: no locality of the decision, but a node with agreements of its own."""


@dataclass(frozen=True, slots=True)
class Locality:
    """One of the 34 provinces and cities (Decision 19/2025/QĐ-TTg)."""

    code: str
    """Two digits, zero-padded: `48`."""
    slug: str
    """Name in addresses and settings: `da-nang`."""
    name: str
    """Vietnamese name: `Đà Nẵng`."""
    type: Literal["city", "province"]
    wards: int
    """Number of communes, wards and special zones."""
    phone_prefix: str
    """Telephone area code without the leading 0: `236`."""


@cache
def localities() -> tuple[Locality, ...]:
    """Returns all 34, by code."""
    return tuple(
        Locality(
            code=row["code"],
            slug=row["slug"],
            name=row["name"],
            type="city" if row["type"] == "city" else "province",
            wards=int(row["wards"]),
            phone_prefix=row["phone_prefix"],
        )
        for row in _rows("localities.csv")
    )


def slugs() -> tuple[str, ...]:
    """Returns every name a node may have, the national hub included."""
    return (*(locality.slug for locality in localities()), NATIONAL)


def of_slug(slug: str) -> Locality:
    """Returns the locality named `slug`; raises KeyError when there is none."""
    return _by_slug()[slug]


def of_code(code: str) -> Locality:
    """Returns the locality whose code is `code` today; raises KeyError when there is none."""
    return _by_code()[code]


def of_legacy_code(code: str) -> Locality:
    """Returns what the unit with this code before 1 July 2025 became part of; raises KeyError when there was none."""
    return of_code(_successors()[code])


@cache
def _by_slug() -> dict[str, Locality]:
    return {locality.slug: locality for locality in localities()}


@cache
def _by_code() -> dict[str, Locality]:
    return {locality.code: locality for locality in localities()}


@cache
def _successors() -> dict[str, str]:
    return {row["legacy_code"]: row["code"] for row in _rows("localities_legacy.csv")}


def _rows(file: str) -> Iterator[dict[str, str]]:
    with (resources.files("mesh") / "data" / file).open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)
