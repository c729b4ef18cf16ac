"""What a contract's rules let through, and how a violation is told."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from lienthong.environment.v1 import Reading, RecordReadingsRequest, RegisterStationRequest, Station
from mesh.errors import ContractError, InvalidArgument, Violation
from mesh.validation import check, check_row, compile_rules, violations
from tests.contracts import compile_contract

SAMPLE = """
enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; }
message Inner { string id = 1 [(rules).required = true]; Sample back = 2; }
message Free { string text = 1; bytes blob = 2; map<string, int64> counts = 3; }
message Sample {
  string name = 1 [(rules) = {required: true, max_len: 5}];
  string code = 2 [(rules) = {pattern: "\\\\d{3}", min_len: 3}];
  int32 size = 3 [(rules) = {gte: 0, lte: 1000}];
  double level = 4 [(rules) = {gte: -1.5, lte: 1}];
  Inner inner = 5 [(rules).required = true];
  repeated Inner parts = 6 [(rules) = {min_items: 1, max_items: 3}];
  repeated Inner rows = 7 [(rules) = {max_items: 2, checked_by_row: true}];
  Colour colour = 8 [(rules).required = true];
  Colour shade = 9;
  google.protobuf.Timestamp at = 10;
  google.protobuf.Duration within = 11;
  optional int32 limit = 12 [(rules) = {required: true, gte: 1}];
  map<string, Inner> by_name = 13;
  repeated string tags = 14 [(rules) = {max_len: 3}];
  bytes blob = 15 [(rules).required = true];
  optional double humidity = 16 [(rules) = {lte: 100}];
  repeated double means = 17 [(rules).gte = 0];
  int32 index = 18 [(rules).required = true];
}
"""


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> dict[str, type[Message]]:
    return compile_contract(SAMPLE, tmp_path_factory.mktemp("contract"))


@pytest.fixture
def good(contract: dict[str, type[Message]]) -> Any:
    """A message every rule allows."""
    inner = contract["Inner"](id="i")
    return contract["Sample"](name="Huế", inner=inner, parts=[inner], colour=1, limit=1, blob=b"x")


def told(message: Message) -> list[tuple[str, str]]:
    return [(violation.field, violation.rule) for violation in violations(message)]


def test_a_message_that_keeps_every_rule_passes(good: Any) -> None:
    check(good)


CASES: list[tuple[str, Callable[[Any], object], list[tuple[str, str]]]] = [
    ("an empty required text", lambda m: m.ClearField("name"), [("name", "required")]),
    ("a text counted in characters", lambda m: setattr(m, "name", "Đặng "), []),
    ("a text too long", lambda m: setattr(m, "name", "Đặng  "), [("name", "max_len")]),
    ("an absent text with a pattern", lambda m: setattr(m, "code", ""), []),
    ("a text that only begins as it should", lambda m: setattr(m, "code", "123\n"), [("code", "pattern")]),
    ("a digit that is none in RE2", lambda m: setattr(m, "code", "١٢٣"), [("code", "pattern")]),
    ("a short text", lambda m: setattr(m, "code", "1"), [("code", "min_len"), ("code", "pattern")]),
    ("a number below", lambda m: setattr(m, "size", -1), [("size", "gte")]),
    ("a number at the limit", lambda m: setattr(m, "size", 1000), []),
    ("a number above", lambda m: setattr(m, "size", 1001), [("size", "lte")]),
    ("not a number", lambda m: setattr(m, "level", math.nan), [("level", "finite")]),
    ("infinity", lambda m: setattr(m, "level", math.inf), [("level", "finite")]),
    ("infinity without an upper limit", lambda m: m.means.extend([1, math.inf]), [("means[1]", "finite")]),
    ("a missing message", lambda m: m.ClearField("inner"), [("inner", "required")]),
    ("a field of a message", lambda m: m.inner.ClearField("id"), [("inner.id", "required")]),
    ("a message inside itself", lambda m: m.inner.back.SetInParent(), [
        ("inner.back.name", "required"), ("inner.back.inner", "required"), ("inner.back.parts", "min_items"),
        ("inner.back.colour", "required"), ("inner.back.limit", "required"), ("inner.back.blob", "required"),
    ]),
    ("an empty list", lambda m: m.ClearField("parts"), [("parts", "min_items")]),
    ("an element of a list", lambda m: m.parts.add(), [("parts[1].id", "required")]),
    ("a list too long is not looked into", lambda m: [m.parts.add() for _ in range(3)], [("parts", "max_items")]),
    ("rows are the handler's", lambda m: m.rows.add(), []),
    ("too many rows", lambda m: [m.rows.add() for _ in range(3)], [("rows", "max_items")]),
    ("an enum not said", lambda m: m.ClearField("colour"), [("colour", "required")]),
    ("an enum nobody knows", lambda m: setattr(m, "colour", 7), [("colour", "enum")]),
    ("an enum nobody knows, without a rule", lambda m: setattr(m, "shade", 7), [("shade", "enum")]),
    ("a time before year 1", lambda m: setattr(m.at, "seconds", -62135596801), [("at", "timestamp")]),
    ("a time after 9999", lambda m: setattr(m.at, "seconds", 253402300800), [("at", "timestamp")]),
    ("a time with bad nanoseconds", lambda m: setattr(m.at, "nanos", -1), [("at", "timestamp")]),
    ("a duration of two signs", lambda m: m.within.MergeFrom(Duration(seconds=1, nanos=-1)), [("within", "duration")]),
    ("a duration too long", lambda m: setattr(m.within, "seconds", 10**12), [("within", "duration")]),
    ("a missing optional number", lambda m: m.ClearField("limit"), [("limit", "required")]),
    ("an optional number out of range", lambda m: setattr(m, "limit", 0), [("limit", "gte")]),
    ("an absent optional number", lambda m: m.ClearField("humidity"), []),
    ("a number of zero is present", lambda m: setattr(m, "index", 0), []),
    ("a value of a map, not its key", lambda m: m.by_name["Nguyễn A"].SetInParent(), [("by_name[0].id", "required")]),
    ("a text in a list", lambda m: m.tags.extend(["abc", "abcd"]), [("tags[1]", "max_len")]),
    ("empty bytes", lambda m: m.ClearField("blob"), [("blob", "required")]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_rule(good: Any, change: Callable[[Any], object], expected: list[tuple[str, str]]) -> None:
    change(good)

    assert told(good) == expected


def test_a_refusal_names_every_field_and_no_value(good: Any) -> None:
    """A value may be personal, and the refusal reaches logs."""
    good.name = "Nguyễn Văn A"
    good.code = "079"
    good.size = -42

    with pytest.raises(InvalidArgument) as refused:
        check(good)

    text = str(refused.value.to_status())
    assert refused.value.message == "name: must have at most 5 characters; size: must be at least 0"
    assert "Nguy" not in text
    assert "42" not in text


def test_no_more_than_a_hundred_violations_are_told(contract: dict[str, type[Message]]) -> None:
    """A thousand bad rows of one kind teach no more than a hundred."""
    sample: Any = contract["Sample"]()
    sample.means.extend([-1.0] * 1000)

    assert len(violations(sample)) == 100


def test_a_message_without_rules_has_nothing_to_run(contract: dict[str, type[Message]]) -> None:
    assert compile_rules(contract["Free"]) is None


def test_a_batch_is_not_refused_for_a_row_and_the_row_names_its_own_fields() -> None:
    request = RecordReadingsRequest(request_id="r", readings=[Reading()])

    check(request)

    assert Violation("station_id", "required", "must not be empty") in check_row(request.readings[0])


def test_a_path_leads_from_the_request_to_the_field() -> None:
    request = RegisterStationRequest(request_id="r", station=Station(id="dn 01", name="Cầu Rồng"))

    assert ("station.id", "pattern") in told(request)
    assert ("station.location", "required") in told(request)


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("string id = 1 [(rules).gte = 1];", "gte"),
        ("int32 size = 1 [(rules).max_len = 1];", "max_len"),
        ("string id = 1 [(rules).max_items = 1];", "max_items"),
        ("bool on = 1 [(rules).lte = 1];", "lte"),
        ("bytes blob = 1 [(rules).pattern = 'x'];", "pattern"),
        ("string id = 1 [(rules).pattern = '('];", "pattern is no regular expression"),
    ],
)
def test_a_rule_that_does_not_fit_its_field_stops_start_up(field: str, rule: str, tmp_path: Path) -> None:
    cls = compile_contract(f"message Wrong {{ {field} }}", tmp_path)["Wrong"]

    for _ in range(2):
        with pytest.raises(ContractError, match=rf"Wrong\.\w+: .*{rule}"):
            compile_rules(cls)


@given(size=st.integers(-(2**31), 2**31 - 1), level=st.floats())
def test_a_number_passes_exactly_when_it_is_within_its_limits(
    contract: dict[str, type[Message]], size: int, level: float
) -> None:
    sample = contract["Sample"](size=size, level=level)

    broken = {field for field, _ in told(sample)}

    assert ("size" not in broken) == (0 <= size <= 1000)
    assert ("level" not in broken) == (-1.5 <= level <= 1)
