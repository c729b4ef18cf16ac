"""A recorder that emits, and a witness whose handler is not idempotent on purpose.

The witness adds to a sum and appends to a list: an event applied twice, lost or out of order shows.
"""

from mongoengine import IntField, ListField, StringField

from mesh import ALL, ANY, LOCAL, Client, Document, Emit, Store, rpc, subscribe
from tests.trial.contract import (
    AmountRecorded,
    GetTotalResponse,
    RecordRequest,
    RecordResponse,
)


class Total(Document):
    """Sum of the amounts of one key."""

    id = StringField(primary_key=True)
    total = IntField(default=0)
    meta = {"collection": "totals"}


class TrialService:
    """Records amounts."""

    name = "trial"
    contract = "trial.v1.TrialService"
    store = Store()
    emit = Emit()

    @rpc
    def record(self, request):
        total = self.store.get(Total, request.key) or Total(id=request.key)
        total.total += request.amount
        self.store.put(total)
        self.emit(AmountRecorded(key=request.key, amount=request.amount, note=request.note))
        return RecordResponse(request_id=request.request_id, total=total.total)

    @rpc(each_message=True)
    def record_each(self, request):
        return self.record(request)

    @rpc
    def record_all(self, requests):
        for request in requests:
            response = self.record(request)
        return response

    @rpc
    def converse(self, requests):
        for request in requests:
            yield self.record(request)

    @rpc
    def list_totals(self, request):
        for total in self.store.find(Total, order_by=["id"]):
            yield GetTotalResponse(key=total.id, total=total.total)

    @rpc
    def get_total(self, request):
        total = self.store.require(Total, request.key, "total")
        return GetTotalResponse(key=total.id, total=total.total)


class Sighting(Document):
    """What the witness saw of one key, in the order it saw it."""

    id = StringField(primary_key=True)
    count = IntField(default=0)
    total = IntField(default=0)
    sequences = ListField(IntField())
    meta = {"collection": "sightings"}


class WitnessService:
    """Counts what it sees; not idempotent on purpose."""

    name = "witness"
    store = Store()

    @staticmethod
    def before(amount, event):
        """Something a test puts in the way; see `tests.hosts.witness`."""
        if amount.note == "poison":
            raise ValueError("poison")

    @subscribe(AmountRecorded, origin=ANY, start=ALL)
    def see(self, amount, event):
        self.before(amount, event)
        sighting = self.store.get(Sighting, f"{event.origin}_{amount.key}") or Sighting(
            id=f"{event.origin}_{amount.key}"
        )
        sighting.count += 1
        sighting.total += amount.amount
        sighting.sequences.append(event.sequence)
        self.store.put(sighting)


class ForwardingService:
    """Calls the trial sector, from an RPC and from an event."""

    name = "forwarding"
    contract = "trial.v1.ForwardingService"
    trial = Client("trial", contract="trial.v1.TrialService")

    @staticmethod
    def after(amount):
        """Something a test lets happen between the call and the commit."""

    @rpc
    def forward(self, request):
        answer = self.trial.record(RecordRequest(key=request.key, amount=request.amount))
        self.trial.record(RecordRequest(key=f"{request.key}-again", amount=request.amount))
        return answer

    @subscribe(AmountRecorded, origin=LOCAL, start=ALL)
    def echo(self, amount, event):
        if amount.note == "echo":
            self.trial.record(RecordRequest(key=f"{amount.key}-echo", amount=amount.amount))
            self.after(amount)
