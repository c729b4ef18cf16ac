"""Reads agreements written in YAML, as a data-protection officer keeps them.

Every complaint names the file, the line and the field, and all complaints about an agreement are told at once.
Whether its types, fields and localities exist is the question of `checks.py`.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BeforeValidator, Field

from lienthong.exchange.v1 import Agreement, GrantedLookup, SharedEvent
from mesh.errors import InvalidArgument
from mesh.forms import Form, parse

VIETNAM = timezone(timedelta(hours=7))
"""Legal time of Vietnam, the same all year since 1975: a date in an agreement is a day here."""


def bundled_agreements() -> list[Agreement]:
    """Returns the agreements that come with the embedded default, by file name."""
    folder = files(__package__) / "data" / "agreements"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return [a for f in found for a in parse_agreements(f.read_text(encoding="utf-8"), f.name)]


def read_agreements(path: Path) -> list[Agreement]:
    """Reads the agreements of one file, or of every `*.yaml` in a folder.

    Raises InvalidArgument naming file, line and field of what is wrong, OSError where the file cannot be read.
    """
    paths = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not paths:
        raise InvalidArgument.field("agreement", f"{path} holds no *.yaml file", rule="required")
    return [a for p in paths for a in parse_agreements(p.read_text(encoding="utf-8"), p.name)]


def parse_agreements(text: str, source: str = "agreement") -> list[Agreement]:
    """Parses one agreement per YAML document; `source` names the text in complaints."""
    agreements = [filled.form.message() for filled in parse(_AgreementForm, text, what="agreement", source=source)]
    if not agreements:
        raise InvalidArgument.field("agreement", f"{source} holds no agreement", rule="required")
    return agreements


def _first_moment(value: object) -> datetime:
    return _moment(value, days_later=0)


def _moment_after(value: object) -> datetime:
    return _moment(value, days_later=1)


def _start(value: object) -> datetime | None:
    return None if value == "NEW" else _first_moment(value)


def _moment(value: object, *, days_later: int) -> datetime:
    """A time with its offset as it is; a date as the midnight that begins the day, or `days_later` ones after it."""
    try:
        if len(str(value)) == len("2026-11-01"):
            day = date.fromisoformat(str(value)) + timedelta(days=days_later)
            moment = datetime.combine(day, time(), VIETNAM)
        else:
            moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError):
        raise ValueError("expects a date such as 2026-11-01 or a time such as 2026-11-01T00:00:00+07:00") from None
    if moment.tzinfo is None:
        raise ValueError("expects a time with its offset, such as 2026-11-01T00:00:00+07:00")
    if not 1970 < moment.year < 9999:
        raise ValueError("expects a year after 1970")
    return moment


_Text = Annotated[str, Field(min_length=1, max_length=200)]
_From = Annotated[datetime, BeforeValidator(_first_moment)]
_Until = Annotated[datetime, BeforeValidator(_moment_after)]


_Fields = Annotated[list[_Text], Field(alias="fields", min_length=1), BeforeValidator(lambda v: [v] if v == "*" else v)]


class _Shared(Form):
    type: _Text
    fields_: _Fields


class _Granted(Form):
    rpc: _Text
    fields_: _Fields


class _Validity(Form):
    from_: Annotated[_From, Field(alias="from")]
    until: _Until


class _Objective(Form):
    freshness_s: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False)] = 0


class _AgreementForm(Form):
    """The keys of an agreement file, all of them."""

    agreement: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    provider: _Text
    recipient: _Text
    purpose: _Text
    legal_basis: _Text
    events: Annotated[list[_Shared], Field(min_length=1, max_length=200)] = []  # pydantic copies it
    lookups: Annotated[list[_Granted], Field(min_length=1, max_length=200)] = []
    start: Annotated[datetime | None, BeforeValidator(_start)] = None
    valid: _Validity
    objective: _Objective = _Objective()

    def message(self) -> Agreement:
        return Agreement(
            id=self.agreement,
            provider=self.provider,
            recipient=self.recipient,
            purpose=self.purpose,
            legal_basis=self.legal_basis,
            events=[SharedEvent(type=e.type, fields=e.fields_) for e in self.events],
            lookups=[GrantedLookup(rpc=one.rpc, fields=one.fields_) for one in self.lookups],
            valid_from=_timestamp(self.valid.from_),
            valid_until=_timestamp(self.valid.until),
            start=self.start and _timestamp(self.start),
            freshness_s=self.objective.freshness_s,
        )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
