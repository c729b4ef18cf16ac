"""A document whose fields are plain is made, changed, checked and stored as MongoEngine would, only sooner."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import bson
import mongoengine
import pytest
from bson import Int64
from hypothesis import given, settings
from hypothesis import strategies as st
from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    FloatField,
    IntField,
    ListField,
    LongField,
    StringField,
)
from mongoengine.base import BaseField
from mongoengine.errors import FieldDoesNotExist, InvalidDocumentError, ValidationError

from mesh.document import Document, from_raw, to_raw
from mesh.unit import REVISION

NOON = datetime(2026, 11, 1, 5, tzinfo=UTC)


class Record(BaseField):
    """A field MongoEngine does not know."""

    def to_mongo(self, value: Any) -> Any:
        return dict(value.items())

    def to_python(self, value: Any) -> Any:
        return dict(value)


def _is_even(value: int) -> None:
    if value % 2:
        raise ValidationError("must be even")


def _declared(base: type[Any]) -> type[Any]:
    """A class with plain fields of every kind, with and without default, bounds and a name of its own."""
    fields = {
        "id": StringField(primary_key=True),
        "name": StringField(required=True),
        "code": StringField(regex=r"\d+$", min_length=1, max_length=4, db_field="c"),
        "good": BooleanField(default=False),
        "share": FloatField(min_value=0, max_value=1),
        "weight": FloatField(required=True, default=1.5),
        "count": IntField(default=3),
        "rank": IntField(min_value=-5, max_value=5),
        "pairs": LongField(validation=_is_even),
        "at_ms": LongField(),
        "total": LongField(default=lambda: 7),
        "silent": StringField(null=True, default="said"),
        "at": DateTimeField(),
        "state": StringField(choices=["7", "x"]),
        "terms": BinaryField(),
        "short": BinaryField(max_bytes=1),
        "record": Record(default=dict),
    }
    return type(base)("Plain", (base,), {**fields, "meta": {"collection": "plain"}})


Ours, Theirs = _declared(Document), _declared(mongoengine.Document)
NAMES = Ours._fields_ordered
DB_FIELDS = [Ours._fields[name].db_field for name in NAMES]

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.sampled_from([2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63, Int64(5)]),
    st.floats(),
    st.sampled_from(["", "7", "12345", "x", "2026-11-01", b"7", b"\xff", NOON, {"pm25": 1}, [], object]),
    st.text(max_size=5),
)
sound = st.fixed_dictionaries(
    {"id": st.text(max_size=3), "name": st.text(max_size=3)},
    optional={
        "code": st.sampled_from(["7", "1234"]),
        "good": st.booleans(),
        "share": st.floats(0, 1),
        "state": st.sampled_from(["7", "x"]),
        "terms": st.binary(max_size=3),
        "short": st.binary(max_size=1),
        "weight": st.floats(allow_nan=False),
        "count": st.integers(-(2**31), 2**31),
        "rank": st.integers(-5, 5),
        "pairs": st.integers(-(2**40), 2**40).map(lambda n: 2 * n),
        "at_ms": st.integers(-(2**62), 2**62),
        "total": st.integers(-(2**33), 2**33),
        "silent": st.none() | st.text(max_size=3),
        "at": st.just(NOON),
        "record": st.dictionaries(st.sampled_from(["pm25", "o3"]), st.integers(0, 9)),
    },
)
some = st.one_of(sound, st.dictionaries(st.sampled_from([*NAMES, "pk", "unknown"]), values, max_size=4))
mixed = st.builds(dict.__or__, sound, st.dictionaries(st.sampled_from(NAMES), values, max_size=2)) | some


def _mongoengines(document: Any) -> dict[str, Any]:
    document.validate()
    return dict(document.to_mongo())


def _outcome(act: Callable[[], Any]) -> Any:
    """What comes of it, in a form that compares: NaN equals NaN, `1` does not equal `1.0` nor `True`."""
    try:
        return repr(act())
    except Exception as error:  # noqa: BLE001  # whatever MongoEngine raises
        return type(error), str(error), repr(getattr(error, "errors", None))


def _held(document: Any) -> dict[str, Any]:
    return {name: getattr(document, name) for name in NAMES}


@given(mixed)
def test_a_new_document_holds_what_mongoengines_would(given_values: dict[str, Any]) -> None:
    assert _outcome(lambda: _held(Ours(**given_values))) == _outcome(lambda: _held(Theirs(**given_values)))


@settings(max_examples=500)
@given(sound, st.dictionaries(st.sampled_from(NAMES), values, max_size=3))
def test_a_changed_document_is_stored_or_refused_as_mongoengine_would(
    made_of: dict[str, Any], changes: dict[str, Any]
) -> None:
    ours, theirs = Ours(**made_of), Theirs(**made_of)
    for name, value in changes.items():
        setattr(ours, name, value)
        setattr(theirs, name, value)

    assert _held(ours).keys() == _held(theirs).keys()
    assert _outcome(lambda: to_raw(ours)) == _outcome(lambda: _mongoengines(theirs))


@given(sound)
def test_what_is_stored_is_the_same_bytes(made_of: dict[str, Any]) -> None:
    assert bson.encode(to_raw(Ours(**made_of))) == bson.encode(_mongoengines(Theirs(**made_of)))


@given(st.dictionaries(st.sampled_from([*DB_FIELDS, "unknown"]), values, max_size=5))
def test_a_document_is_restored_as_mongoengine_would(stored: dict[str, Any]) -> None:
    ours = _outcome(lambda: _held(from_raw(Ours, {**stored, REVISION: 12})))

    assert ours == _outcome(lambda: _held(Theirs._from_son(stored)))


@given(sound)
def test_a_document_comes_back_as_it_was(made_of: dict[str, Any]) -> None:
    document = Ours(**made_of)

    restored = from_raw(Ours, bson.decode(bson.encode(to_raw(document)), bson.CodecOptions(tz_aware=True)))

    assert _held(restored) == _held(document)
    assert to_raw(restored) == to_raw(document)


def test_every_wrong_field_is_named() -> None:
    document = Ours(id="a", name="b", rank=9)
    document.name, document.share = None, 1.5

    with pytest.raises(ValidationError) as refused:
        to_raw(document)

    assert refused.value.errors.keys() == {"name", "share", "rank"}


def test_an_undeclared_field_is_refused() -> None:
    with pytest.raises(FieldDoesNotExist, match="colour"):
        Ours(id="a", colour="blue")


def test_an_undeclared_stored_field_is_refused() -> None:
    with pytest.raises(FieldDoesNotExist, match="colour"):
        from_raw(Ours, {"_id": "a", "colour": "blue"})


def test_what_cannot_be_restored_is_refused_by_field() -> None:
    with pytest.raises(InvalidDocumentError, match="'record'"):
        from_raw(Ours, {"_id": "a", "record": "said"})


def test_each_document_has_defaults_of_its_own() -> None:
    first, second = Ours(id="a"), Ours(id="b")

    first.record["pm25"] = 1

    assert second.record == {}


def test_a_restored_document_does_not_share_what_it_was_made_from() -> None:
    stored = {"_id": "a", "name": "b", "record": {"pm25": 1}}

    from_raw(Ours, stored).record["pm25"] = 2

    assert stored["record"] == {"pm25": 1}


def test_documents_are_compared_and_copied_by_mongoengine() -> None:
    document = Ours(id="a", name="b", record={"o3": 1})

    copied = copy.deepcopy(document)

    assert copied == document
    assert _held(copied) == _held(document)


class Cleaned(Document):
    """A class with a rule of its own."""

    id = StringField(primary_key=True)
    meta = {"collection": "cleaned"}

    def clean(self) -> None:
        if self.id == "bad":
            raise ValidationError("bad")


class Listed(Document):
    """A class with a field that is not plain."""

    id = StringField(primary_key=True)
    bands = ListField(StringField())
    meta = {"collection": "listed"}


def test_a_class_with_a_rule_of_its_own_keeps_it() -> None:
    with pytest.raises(ValidationError, match="Cleaned:bad"):
        to_raw(Cleaned(id="bad"))


def test_fields_that_are_not_plain_are_mongoengines() -> None:
    document = Listed(id="a", bands=["GOOD"])
    document.bands.append(1)

    with pytest.raises(ValidationError, match="bands"):
        to_raw(document)
