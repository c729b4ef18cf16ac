"""What a process remembers of documents: never more than it may, never older than what it knows, never shared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mesh.remembered import Remembered

A, B, C = (("things", id) for id in "abc")


@pytest.fixture
def remembered() -> Remembered:
    return Remembered(most_documents=2, most_bytes=1000)


def _raw(revision: int, **fields: Any) -> dict[str, Any]:
    return {"_id": "a", **fields, "_rev": revision}


def test_what_was_read_is_recalled_with_its_revision(remembered: Remembered) -> None:
    remembered.read(A, _raw(3, n=1))

    assert remembered.recall(A) == {"_id": "a", "n": 1, "_rev": 3}
    assert remembered.recall(B) is None


def test_what_a_commit_writes_replaces_what_was_read(remembered: Remembered) -> None:
    remembered.read(A, _raw(3, n=1))

    remembered.committed({A: {"_id": "a", "n": 2}}, 4)

    assert remembered.recall(A) == {"_id": "a", "n": 2, "_rev": 4}


def test_what_nobody_asked_for_is_not_kept_when_it_is_written(remembered: Remembered) -> None:
    remembered.committed({A: {"_id": "a"}}, 4)

    assert remembered.recall(A) is None


def test_what_a_commit_deletes_must_be_read(remembered: Remembered) -> None:
    remembered.read(A, _raw(3))

    remembered.committed({A: None}, 4)

    assert remembered.recall(A) is None


def test_an_answer_that_comes_late_undoes_nothing(remembered: Remembered) -> None:
    remembered.read(A, _raw(5, n=5))

    remembered.read(A, _raw(3, n=3))
    remembered.committed({A: {"_id": "a", "n": 4}}, 4)

    assert remembered.recall(A) == {"_id": "a", "n": 5, "_rev": 5}


def test_what_is_forgotten_must_be_read(remembered: Remembered) -> None:
    remembered.read(A, _raw(3))

    remembered.forget([A, B])

    assert remembered.recall(A) is None


def test_what_no_commit_has_written_is_not_kept(remembered: Remembered) -> None:
    """Without a revision nobody could tell whether it has changed."""
    remembered.read(A, {"_id": "a", "n": 1})

    assert remembered.recall(A) is None


def test_what_is_done_to_what_was_recalled_is_seen_by_nobody_else(remembered: Remembered) -> None:
    read = _raw(3, bands=["GOOD"], place={"ward": "Hải Châu"})
    remembered.read(A, read)

    for raw in (read, remembered.recall(A)):
        assert raw is not None
        raw["bands"].append("BAD")
        raw["place"]["ward"] = "elsewhere"

    assert remembered.recall(A) == _raw(3, bands=["GOOD"], place={"ward": "Hải Châu"})


def test_what_was_written_is_recalled_as_mongodb_would_return_it(remembered: Remembered) -> None:
    remembered.read(A, _raw(3))

    at = datetime(2026, 11, 1, 12, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=7)))
    remembered.committed({A: {"_id": "a", "at": at, "bands": ("GOOD",)}}, 4)

    recalled = remembered.recall(A)
    assert recalled == {"_id": "a", "at": datetime(2026, 11, 1, 5, 0, 0, 123_000, UTC), "bands": ["GOOD"], "_rev": 4}


def test_the_document_not_asked_for_longest_is_dropped_first(remembered: Remembered) -> None:
    remembered.read(A, _raw(1))
    remembered.read(B, _raw(1))
    remembered.recall(A)

    remembered.read(C, _raw(1))

    assert [remembered.recall(address) is not None for address in (A, B, C)] == [True, False, True]


def test_documents_are_dropped_when_they_take_too_many_bytes(remembered: Remembered) -> None:
    remembered.read(A, _raw(1, text="x" * 600))
    remembered.read(B, _raw(1, text="x" * 600))
    assert remembered.recall(A) is None

    remembered.committed({B: {"_id": "b", "text": "x" * 2000}}, 2)
    assert len(remembered) == 0


def test_bytes_of_what_was_dropped_or_replaced_count_no_longer(remembered: Remembered) -> None:
    for revision in range(1, 10):
        remembered.read(A, _raw(revision, text="x" * 600))
    assert remembered.recall(A) is not None

    remembered.forget([A])
    remembered.read(B, _raw(1, text="x" * 900))
    assert remembered.recall(B) is not None


def test_a_process_may_remember_nothing() -> None:
    remembered = Remembered(most_documents=0, most_bytes=1000)

    remembered.read(A, _raw(1))

    assert remembered.recall(A) is None
