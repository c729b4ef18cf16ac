"""The fakes a sector team tests its handlers with: no database, no broker, no clock but the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from mongoengine import IntField, PolygonField, StringField, ValidationError
from nameko.testing.services import worker_factory
from pydantic import BaseModel

from mesh import Clock, Config, Document, Emit, Store, rpc
from mesh.errors import NotFound
from mesh.testing import ManualClock, MemoryStore, RecordingEmit
from tests.trial.contract import AmountForgotten, AmountRecorded, GetTotalRequest, RecordRequest, RecordResponse
from tests.trial.services import Total, TrialService


class Drink(Document):
    """A document of the test's own."""

    id = StringField(primary_key=True)
    litres = IntField(max_value=10)
    meta = {"collection": "drinks"}


class Field(Document):
    """A document with a shape."""

    id = StringField(primary_key=True)
    ground = PolygonField()
    meta = {"collection": "fields"}


class BarSettings(BaseModel):
    """Settings of the test's own."""

    largest: int = 5


class Bar:
    """A service with every dependency the fakes stand for."""

    name = "bar"
    store = Store()
    emit = Emit()
    clock = Clock()
    settings = Config(BarSettings)

    @rpc
    def order(self, litres):
        self.store.put(Drink(id=self.clock.now().isoformat(), litres=min(litres, self.settings.largest)))
        self.emit(AmountRecorded(key="bar", amount=litres))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_handler_runs_without_anything_real(store: MemoryStore) -> None:
    emit = RecordingEmit()
    trial = worker_factory(TrialService, store=store, emit=emit)

    answer = trial.record(RecordRequest(request_id="r1", key="a", amount=3))

    assert answer == RecordResponse(request_id="r1", total=3)
    assert store.require(Total, "a").total == 3
    assert emit.messages == [AmountRecorded(key="a", amount=3)]


def test_all_fakes_fit_where_the_real_ones_are_injected(store: MemoryStore) -> None:
    clock, emit = ManualClock(datetime(2026, 11, 1, tzinfo=UTC)), RecordingEmit()
    bar = worker_factory(Bar, store=store, emit=emit, clock=clock, settings=BarSettings(largest=2))

    bar.order(7)

    [drink] = store.find(Drink)
    assert (drink.pk, drink.litres) == ("2026-11-01T00:00:00+00:00", 2)


def test_a_handler_that_streams_runs_as_a_plain_generator(store: MemoryStore) -> None:
    trial = worker_factory(TrialService, store=store, emit=RecordingEmit())

    answers = trial.converse(RecordRequest(key="a", amount=n) for n in (1, 2, 3))

    assert [answer.total for answer in answers] == [1, 3, 6]


def test_a_handlers_refusal_comes_out_as_it_is(store: MemoryStore) -> None:
    trial = worker_factory(TrialService, store=store, emit=RecordingEmit())

    with pytest.raises(NotFound):
        trial.get_total(GetTotalRequest(key="nobody"))


def test_emitted_messages_are_kept_in_order_and_by_kind() -> None:
    emit = RecordingEmit()

    emit(AmountRecorded(key="a"))
    emit(AmountForgotten(key="a"))
    emit(AmountRecorded(key="b"))

    assert [message.key for message in emit.messages] == ["a", "a", "b"]
    assert [message.key for message in emit.of(AmountRecorded)] == ["a", "b"]


def test_the_clock_stands_still_until_told_otherwise() -> None:
    clock = ManualClock(datetime(2026, 11, 1, tzinfo=UTC))

    assert clock.now() == clock.now()
    clock.advance(timedelta(minutes=90))
    assert clock.now() == datetime(2026, 11, 1, 1, 30, tzinfo=UTC)


def test_two_stores_share_nothing(store: MemoryStore) -> None:
    store.put(Drink(id="a", litres=1))

    assert MemoryStore().get(Drink, "a") is None


def test_a_document_that_is_not_put_again_is_not_changed(store: MemoryStore) -> None:
    """As with the real store, where only what is put is written."""
    store.put(Drink(id="a", litres=1))

    store.require(Drink, "a").litres = 2

    assert store.require(Drink, "a").litres == 1


def test_a_field_that_could_not_be_stored_fails_in_the_fake_too(store: MemoryStore) -> None:
    with pytest.raises(ValidationError):
        store.put(Drink(id="a", litres=11))


def test_a_shape_no_sector_keeps_is_refused_rather_than_never_near(store: MemoryStore) -> None:
    store.put(Field(id="a", ground=[[[0, 0], [0, 1], [1, 1], [0, 0]]]))

    with pytest.raises(ValueError, match="not Polygon"):
        store.find(Field, ground__near=[0, 0], ground__max_distance=10)
