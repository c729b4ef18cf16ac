"""What is measured: a service that records changes, and services of other sectors on which they have an effect."""

from mongoengine import IntField, StringField

from bench.contract import Changed, ChangeResponse
from lienthong.environment.v1 import AirQualityHourRecorded
from mesh import ALL, LOCAL, PEERS, Document, Emit, Store, rpc, subscribe


class Change(Document):
    """What was recorded."""

    id = StringField(primary_key=True)
    amount = IntField(required=True)
    note = StringField()
    meta = {"collection": "changes"}


class Consequence(Document):
    """What a change brought about."""

    id = StringField(primary_key=True)
    amount = IntField(required=True)
    note = StringField()
    meta = {"collection": "consequences"}


class BenchService:
    """Records changes."""

    name = "bench"
    contract = "bench.v1.BenchService"
    store = Store()
    emit = Emit()

    @rpc
    def change(self, request):
        self.store.put(Change(id=request.id, amount=request.amount, note=request.note))
        self.emit(Changed(id=request.id, amount=request.amount, note=request.note))
        return ChangeResponse(id=request.id, amount=request.amount)

    @rpc
    def echo(self, request):
        return ChangeResponse(id=request.id, amount=request.amount)


class ConsequenceService:
    """Does one thing for each change in its own locality."""

    name = "consequence"
    store = Store()

    @subscribe(Changed, origin=LOCAL, start=ALL)
    def follow(self, change, event):
        self.store.put(Consequence(id=change.id, amount=change.amount, note=change.note))


class HourService:
    """Does one thing for each hour of air quality."""

    name = "hour"
    store = Store()

    @subscribe(AirQualityHourRecorded, start=ALL)
    def follow(self, recorded, event):
        self.store.put(Consequence(id=event.id, amount=event.sequence, note=recorded.station_id))


class NeighbourService:
    """Does one thing for each change in another locality."""

    name = "consequence"
    store = Store()

    @subscribe(Changed, origin=PEERS, start=ALL)
    def follow(self, change, event):
        self.store.put(Consequence(id=change.id, amount=change.amount, note=change.note))
