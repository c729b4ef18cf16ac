"""Files that can be replayed: CSV, gzipped or not, one row an observation. What the rows are is a `Kind`."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from mesh import localities
from mesh.cli.exits import UsageError


class Unreadable(Exception):
    """A row that is no observation; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file."""

    number: int
    """Line in the file, from 2 behind the header."""
    cells: dict[str, str]

    @property
    def locality(self) -> str:
        """Slug of the province, also by a code it had before 1 July 2025; empty when there is no such code."""
        code = self.cells["province_code"].zfill(2)
        for find in (localities.of_code, localities.of_legacy_code):
            try:
                return find(code).slug
            except KeyError:
                continue
        return ""

    @property
    def thing(self) -> str:
        """Id of what has to be registered before the row can be sent; empty for nothing."""
        return ""

    def registration(self) -> Any:
        """What registers that: a message with a `request_id`. Raises Unreadable."""
        raise NotImplementedError(f"{type(self).__name__} registers nothing")

    def message(self) -> Any:
        """The observation. Raises Unreadable."""
        raise NotImplementedError

    @property
    def observed_at(self) -> datetime:
        """When it was observed. Raises Unreadable."""
        return self.timestamp("observed_at").ToDatetime(UTC)

    def timestamp(self, column: str) -> Timestamp:
        """A time. Raises Unreadable."""
        timestamp = Timestamp()
        try:
            timestamp.FromJsonString(self.cells[column])
        except ValueError:
            raise Unreadable(f"{column}: expected a time such as 2026-05-14T04:06:49Z") from None
        return timestamp

    def required(self, column: str) -> float:
        """A number that must be there. Raises Unreadable."""
        value = self.measured(column)
        if value is None:
            raise Unreadable(f"{column}: is required")
        return value

    def measured(self, column: str) -> float | None:
        """A number; an empty cell was not measured. Raises Unreadable."""
        text = self.cells[column].strip()
        try:
            return float(text) if text else None
        except ValueError:
            raise Unreadable(f"{column}: expected a number") from None


@dataclass(frozen=True, slots=True)
class Kind:
    """What the rows of a file are, and which RPC takes them."""

    columns: tuple[str, ...]
    row: type[Row]
    service: str
    """Full name of the service."""
    stream: str
    """RPC that takes batches and answers each with its outcome."""
    request: Callable[[str, list[Any]], Message]
    """Makes a batch of a request id and messages."""
    register: str = ""
    """RPC that registers what rows are about; empty for nothing."""


class RowsFile:
    """A CSV file, gzipped or not, read row by row."""

    def __init__(self, path: Path, kind: Kind) -> None:
        """Raises UsageError when it cannot be read as such a file."""
        self.path = path
        self.kind = kind
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        self.size = path.stat().st_size or 1
        packed = self._raw.peek(2)[:2] == b"\x1f\x8b"
        content = gzip.GzipFile(fileobj=self._raw) if packed else self._raw
        self._lines = csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", newline=""))
        self._header = self._read_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()

    def rows(self) -> Iterator[Row]:
        """Yields every row; cells that are missing are empty. Raises UsageError where the file breaks off."""
        try:
            for number, cells in enumerate(self._lines, 2):
                if cells:
                    padded = cells + [""] * (len(self._header) - len(cells))
                    yield self.kind.row(number, dict(zip(self._header, padded, strict=False)))
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{self.path}: breaks off: {error}") from error

    def progress(self) -> float:
        """How much of the file is read, 0 to 1."""
        return min(1.0, self._raw.tell() / self.size)

    def _read_header(self) -> list[str]:
        try:
            header = next(self._lines, [])
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{self.path}: is no CSV file: {error}") from None
        missing = [column for column in self.kind.columns if column not in header]
        if missing:
            raise UsageError(f"{self.path}: lacks the columns {', '.join(missing)}")
        return header
