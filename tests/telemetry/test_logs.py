"""Log lines: JSON, with the trace they belong to, and nothing personal."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics as api_metrics
from opentelemetry import trace as api_trace
from opentelemetry.sdk.trace import TracerProvider

from mesh import telemetry
from mesh.errors import NotFound
from mesh.foreign_errors import classify
from mesh.json_logs import setup_logging

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where the process logs to, as `lienthong serve` sets it up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    setup_logging("INFO", locality="hue", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def only(lines: io.StringIO) -> dict[str, Any]:
    [line] = lines.getvalue().splitlines()
    return dict(json.loads(line))


def test_a_line_says_when_who_and_what(lines: io.StringIO) -> None:
    logging.getLogger("mesh.relay").warning("relay %s waits", "EVENTS_HUE_HEALTH")

    line = only(lines)

    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "mesh.relay",
        "message": "relay EVENTS_HUE_HEALTH waits",
        "lienthong.locality": "hue",
    }


def test_what_is_below_the_level_is_not_written(lines: io.StringIO) -> None:
    logging.getLogger("mesh.relay").debug("detail")

    assert not lines.getvalue()


def test_a_line_names_its_trace(lines: io.StringIO) -> None:
    """So one finds a span's log lines, and a line's trace."""
    telemetry.use(TracerProvider(), api_metrics.NoOpMeterProvider(), locality="hue")

    with telemetry.server_span("lienthong.a.v1.A/Do", {"traceparent": PARENT}) as answering:
        logging.getLogger("mesh").info("working")

    telemetry.use(api_trace.NoOpTracerProvider(), api_metrics.NoOpMeterProvider(), locality="")
    line = only(lines)
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["span_id"] == f"{answering.span.get_span_context().span_id:016x}"


def test_an_exception_is_told_by_class_and_place_only(lines: io.StringIO) -> None:
    """Its text may quote a document, and so a person."""
    try:
        try:
            raise ValueError("Nguyễn Văn A")
        except ValueError as error:
            raise classify(error) from error
    except Exception:
        logging.getLogger("mesh").exception("health.advise failed")

    line = only(lines)

    assert "Nguyễn" not in lines.getvalue()
    assert line["exception"]["type"] == "mesh.errors.Internal"
    assert line["exception"]["cause"]["type"] == "builtins.ValueError"
    assert "test_logs.py" in line["exception"]["cause"]["stack"][0]


def test_the_text_of_an_error_of_ours_is_told(lines: io.StringIO) -> None:
    try:
        raise NotFound("station", "dn-01")
    except NotFound:
        logging.getLogger("mesh").exception("failed")

    assert only(lines)["exception"]["message"] == "station 'dn-01' does not exist"
