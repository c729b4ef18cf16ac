"""`Document`: a MongoEngine document class whose instances cost little (ADR-0013).

MongoEngine prepares every instance for updates of single fields; the commit writes whole documents. So documents of
plain fields are made, changed, checked and described here. Whatever is not plain, or not right, is left to MongoEngine:
it converts it, or says in its own words what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import mongoengine
from bson import Binary, Int64
from mongoengine.base import BaseField

from mesh.unit import REVISION, Raw

_NATIVE: Final[dict[type[BaseField], type]] = {
    mongoengine.BinaryField: bytes,
    mongoengine.StringField: str,
    mongoengine.BooleanField: bool,
    mongoengine.FloatField: float,
    mongoengine.IntField: int,
    mongoengine.LongField: int,
}
"""Values these fields neither convert nor refuse, bounds aside."""
_BOUNDS: Final = ("regex", "max_length", "min_length", "min_value", "max_value", "max_bytes", "choices", "validation")
_INT32: Final = 2**31
_NO_FIELDS: Final[dict[str, BaseField]] = {}


class Document(mongoengine.Document):
    """Base of every document: the runtime keeps its revision outside the declared fields."""

    meta = {"abstract": True, "auto_create_index": False}

    def __init__(self, *args: Any, **values: Any) -> None:
        layout = _LAYOUTS[type(self)]
        if args or layout is None or not values.keys() <= layout.names:
            super().__init__(*args, **values)
        else:
            _begin(self, layout.filled(values), created=True)

    def __setattr__(self, name: str, value: Any) -> None:
        layout = _LAYOUTS[type(self)]
        if layout is None or name not in layout.names:
            super().__setattr__(name, value)
        else:
            self._data[name] = layout.default(name) if value is None else value


D = TypeVar("D", bound=Document)


def to_raw(document: Document) -> Raw:
    """Checks a document against its fields and returns what MongoDB stores. Raises MongoEngine's ValidationError."""
    layout = _LAYOUTS[type(document)]
    raw = None if layout is None else layout.described(document._data)
    if raw is None:
        document.validate()
        raw = dict(document.to_mongo())
    return raw


def from_raw(model: type[D], raw: Raw) -> D:
    """Builds a document from what MongoDB returned."""
    layout = _LAYOUTS[model]
    data = None if layout is None else layout.restored(raw)
    if data is None:
        return model._from_son({name: value for name, value in raw.items() if name != REVISION})  # type: ignore[no-any-return]
    made = model.__new__(model)
    _begin(made, data, created=False)
    return made


def _begin(document: Document, data: Raw, *, created: bool) -> None:
    """Sets what MongoEngine's own methods look for in an instance."""
    keep = object.__setattr__
    keep(document, "_data", data)
    keep(document, "_created", created)
    keep(document, "_initialised", True)
    keep(document, "_dynamic_fields", _NO_FIELDS)


class _Plain:
    """A field whose value depends on nothing but what it is given."""

    def __init__(self, name: str, field: BaseField) -> None:
        self.name = name
        self.db_field: str = field.db_field
        self.field = field
        self.native = _NATIVE.get(type(field))
        """Type it neither converts nor, without bounds, refuses."""
        self.unchecked = None if any(getattr(field, bound, None) is not None for bound in _BOUNDS) else self.native
        self.stored_as = _STORED_AS.get(type(field))
        default = None if field.null else field.default
        self.make: Callable[[], Any] | None = default if callable(default) else None
        self.constant: Any = None if callable(default) else default


class _Layout:
    """What is known of a document class whose fields are all plain."""

    def __init__(self, fields: list[_Plain]) -> None:
        self.names = frozenset(field.name for field in fields)
        self._by_name = {field.name: field for field in fields}
        self._db_fields = frozenset({REVISION, *(field.db_field for field in fields)})
        # Attributes looked up beforehand: these tuples are gone through for every document.
        self._taken = [(f.name, f.db_field, f.native, f.constant, f.make, f.field.to_python) for f in fields]
        self._given = [(f.name, f.db_field, f.unchecked, f.stored_as, f.field) for f in fields]

    def default(self, name: str) -> Any:
        """What a field holds that is given nothing."""
        field = self._by_name[name]
        return field.constant if field.make is None else field.make()

    def filled(self, values: Raw) -> Raw:
        """What a new document holds, by the values given for its fields."""
        data: Raw = {}
        for name, _, native, constant, make, to_python in self._taken:
            value = values.get(name)
            if value is None:
                value = constant if make is None else make()
            elif type(value) is not native:
                value = to_python(value)
            data[name] = value
        return data

    def restored(self, raw: Raw) -> Raw | None:
        """What a document holds, by what is stored; None where MongoEngine must tell."""
        if not raw.keys() <= self._db_fields:
            return None
        data: Raw = {}
        for name, db_field, native, constant, make, to_python in self._taken:
            value = raw.get(db_field)
            if value is None:
                value = constant if make is None else make()
            elif type(value) is not native:
                try:
                    value = to_python(value)
                except (AttributeError, ValueError):
                    return None
            data[name] = value
        return data

    def described(self, data: Raw) -> Raw | None:
        """What is to be stored; None where MongoEngine must tell."""
        raw: Raw = {}
        for name, db_field, unchecked, stored_as, field in self._given:
            value = data[name]
            if value is None:
                if field.required:
                    return None
                if not field.null:
                    continue
            elif type(value) is unchecked:
                if stored_as is not None:
                    value = stored_as(value)
            else:
                try:
                    field._validate(value)
                    value = field.to_mongo(value)
                except Exception:  # noqa: BLE001  # it says which fields are wrong, and how
                    return None
            raw[db_field] = value
        return raw


class _Layouts(dict[Any, _Layout | None]):
    """Layouts by document class, each made when it is first asked for."""

    def __missing__(self, model: Any) -> _Layout | None:
        layout = self[model] = _layout_of(model)
        return layout


_LAYOUTS: Final = _Layouts()


def _layout_of(model: Any) -> _Layout | None:
    """None where MongoEngine must do everything: some field is not plain, or the class has ways of its own."""
    own_ways = any(getattr(model, name) is not getattr(Document, name) for name in ("__init__", "clean", "validate"))
    if own_ways or model._dynamic or model.STRICT or model._meta.get("allow_inheritance") or "shard_key" in model._meta:
        return None
    if not all(map(_is_plain, model._fields.values())):
        return None
    return _Layout([_Plain(name, model._fields[name]) for name in model._fields_ordered])


def _is_plain(field: BaseField) -> bool:
    kind = type(field)
    nested = {"fields", "use_db_field"} & {*kind.to_mongo.__code__.co_varnames}
    # A BinaryField turns what is set as a bytearray into bytes; here that is refused when the document is described.
    sets = kind.__set__ is BaseField.__set__ or kind is mongoengine.BinaryField
    return kind.__get__ is BaseField.__get__ and sets and not nested and not field._auto_gen


def _int64(value: int) -> int:
    """As a LongField stores it. What does not fit 32 bits is stored so anyway."""
    return value if value >= _INT32 or value < -_INT32 else Int64(value)


_STORED_AS: Final[dict[type[BaseField], Callable[[Any], Any]]] = {
    mongoengine.BinaryField: Binary,
    mongoengine.LongField: _int64,
}
"""What makes of a field's native value the one that is stored."""
