"""Times between contracts and documents."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from mesh.times import now_ms, timestamp, to_ms


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_kept_time_comes_back(unix_ms: int) -> None:
    """Whatever year, to the millisecond."""
    shown = timestamp(unix_ms)

    assert shown is not None
    assert to_ms(shown) == unix_ms
    assert 0 <= shown.nanos < 1_000_000_000


def test_what_is_finer_than_a_millisecond_is_cut_off() -> None:
    """As the database would."""
    assert to_ms(Timestamp(seconds=1, nanos=1_999_999)) == 1001


def test_no_time_stays_absent() -> None:
    """An absent field is not 1970."""
    assert timestamp(None) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_now_is_the_time_a_contract_would_tell(now: datetime) -> None:
    """To the millisecond: as floats, 1.005 s are 1004 ms."""
    told = Timestamp()
    told.FromDatetime(now)

    assert now_ms(now) == to_ms(told)
