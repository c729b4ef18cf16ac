"""Logs: JSON lines, each with the trace it belongs to, and without the text of foreign exceptions."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import IO, Any

from opentelemetry import trace

from mesh.errors import MeshError
from mesh.telemetry import LOCALITY


def setup_logging(level: str, *, locality: str = "", stream: IO[str] | None = None) -> None:
    """Makes the process log JSON lines, each with the trace it belongs to. Replaces handlers set before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(locality))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def __init__(self, locality: str = "") -> None:
        super().__init__()
        self._locality = locality

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; the text of a foreign exception is left out, it may quote a document."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._locality:
            line[LOCALITY] = self._locality
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _described(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def _described(exc: BaseException) -> dict[str, Any]:
    described: dict[str, Any] = {"type": f"{type(exc).__module__}.{type(exc).__qualname__}"}
    if isinstance(exc, MeshError):
        described["message"] = exc.message
    frames = traceback.extract_tb(exc.__traceback__)
    described["stack"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    if exc.__cause__ is not None:
        described["cause"] = _described(exc.__cause__)
    return described
