"""The border of one locality: which agreements it keeps, what leaves under them, and what comes in."""

from __future__ import annotations

from datetime import datetime, timedelta

from lienthong.exchange.v1 import (
    Agreement,
    AnswerLookupRequest,
    AnswerLookupResponse,
    ApplyAgreementRequest,
    ApplyAgreementResponse,
    GetAgreementRequest,
    GetAgreementResponse,
    ListAgreementsRequest,
    ListAgreementsResponse,
    ListLookupsRequest,
    ListLookupsResponse,
    ListQuarantineRequest,
    ListQuarantineResponse,
    LookupRequest,
    LookupResponse,
    ReadShareLogRequest,
    ReadShareLogResponse,
    ReportReceiptsRequest,
    ReportReceiptsResponse,
    ResumeAgreementRequest,
    ResumeAgreementResponse,
    RevokeAgreementRequest,
    RevokeAgreementResponse,
    SuspendAgreementRequest,
    SuspendAgreementResponse,
)
from mesh import LOCAL, Caller, Clock, Config, Emit, Store, every, rpc
from mesh.doors.declared import OwnStream
from mesh.errors import InvalidArgument, PermissionDenied
from mesh.events import Event
from mesh.localities import slugs
from mesh.pages import PAGE, given, page_by_id
from mesh.sharing import received_stream, share_stream, shared_filter
from services.exchange import lifecycle, lookups
from services.exchange.admission import Crossing
from services.exchange.agreement import State
from services.exchange.border import Border
from services.exchange.checks import check_agreement
from services.exchange.crossing import arriving, leaving
from services.exchange.documents import AgreementDocument, Quarantined, Receipt
from services.exchange.inward import inward
from services.exchange.keeping import holders, keep
from services.exchange.lifecycle import Change
from services.exchange.lookup_record import LookupRecord, is_recorded
from services.exchange.newest import newest
from services.exchange.outward import outward
from services.exchange.passage import share_lines
from services.exchange.reaching import Reaching
from services.exchange.settings import ExchangeSettings
from services.exchange.share_log import agreement_of, share_log


class ExchangeService:
    """What this locality lets others know, and what it lets in."""

    name = "exchange"
    store = Store()
    emit = Emit()
    clock = Clock()
    caller = Caller()
    border = Border()
    reach = Reaching()
    settings = Config(ExchangeSettings)
    reads_events = LOCAL
    """An agreement can name any event born here."""
    answers_lookups = True
    """An agreement can name any lookup; it is asked of the sector here that answers it."""

    @classmethod
    def log_subjects(cls, locality: str) -> list[str]:
        """Its log holds the events of every other locality."""
        return [f"events.{slug}.>" for slug in slugs() if slug != locality]

    @classmethod
    def own_streams(cls, locality: str) -> list[OwnStream]:
        """What is shared with each other locality, and what all of them share with this one."""
        others = [slug for slug in slugs() if slug != locality]
        shared = [
            OwnStream(share_stream(locality, slug), publishes=(shared_filter(locality, slug),)) for slug in others
        ]
        return [*shared, OwnStream(received_stream(locality), reads=(f"shared.*.{locality}.>",))]

    # --- agreements --------------------------------------------------------------------------------------

    @rpc
    def apply_agreement(self, request: ApplyAgreementRequest) -> ApplyAgreementResponse:
        """Keeps an agreement and makes it ACTIVE."""
        check_agreement(request.agreement, self.border.here)
        before = self.store.get(AgreementDocument, request.agreement.id)
        held = holders(self.store, request.agreement)
        current = before and before.agreement()
        change = lifecycle.apply(request.agreement, current, held, self.clock.now())
        return ApplyAgreementResponse(agreement=self._kept(change, before))

    @rpc
    def suspend_agreement(self, request: SuspendAgreementRequest) -> SuspendAgreementResponse:
        """Stops it for now."""
        before = self._require(request.agreement_id)
        change = lifecycle.suspend(before.agreement(), self.clock.now())
        return SuspendAgreementResponse(agreement=self._kept(change, before))

    @rpc
    def resume_agreement(self, request: ResumeAgreementRequest) -> ResumeAgreementResponse:
        """Lets it carry again, from now on."""
        before = self._require(request.agreement_id)
        held = holders(self.store, before.agreement())
        change = lifecycle.resume(before.agreement(), held, self.clock.now())
        return ResumeAgreementResponse(agreement=self._kept(change, before))

    @rpc
    def revoke_agreement(self, request: RevokeAgreementRequest) -> RevokeAgreementResponse:
        """Ends it for good."""
        before = self._require(request.agreement_id)
        change = lifecycle.revoke(before.agreement(), self.clock.now())
        return RevokeAgreementResponse(agreement=self._kept(change, before))

    @every(seconds=1)
    def expire_agreements(self) -> bool:
        """Ends those whose validity is over; one at a time, so none holds up another."""
        now = self.clock.now()
        over = {"valid_until__lte": now, "state__in": [str(state) for state in lifecycle.EXPIRE.sources]}
        found = self.store.find(AgreementDocument, order_by=("id",), limit=1, **over)
        for document in found:
            keep(self.store, lifecycle.expire(document.agreement(), now), document)
        return bool(found)

    @rpc
    def get_agreement(self, request: GetAgreementRequest) -> GetAgreementResponse:
        """Returns one agreement."""
        return GetAgreementResponse(agreement=self._shown([self._require(request.agreement_id)])[0])

    @rpc
    def list_agreements(self, request: ListAgreementsRequest) -> ListAgreementsResponse:
        """Lists agreements by id; the page token is the last one."""
        filters = {"state": str(_state(request.state))} if request.state else {}
        agreements, token = page_by_id(self.store, AgreementDocument, request, **filters)
        return ListAgreementsResponse(agreements=self._shown(agreements), next_page_token=token)

    # --- outward -----------------------------------------------------------------------------------------

    @outward
    def share(self, event: Event, agreement_id: str) -> None:
        """Commits what an agreement lets through of an event to its recipient's share log."""
        if leave := leaving(self.store, agreement_id, event, self.border.here, self.clock.now()):
            shared, recipient = leave
            log = share_log(self.border.here, recipient)
            crossing = Crossing.under(self.border.here, recipient, shared)
            self.emit.forward(shared, log=log.name, line=shared.share_line, subject=crossing.subject)

    @rpc
    def read_share_log(self, request: ReadShareLogRequest) -> ReadShareLogResponse:
        """Gives the recipient what it missed of a line."""
        document = self._shared_with_caller(request.agreement_id)
        if document.state != State.ACTIVE or agreement_of(request.line) != document.id:
            raise PermissionDenied(
                f"agreement {document.id} is {document.state} and lets nobody read {request.line}",
                agreement=document.id,
            )
        log = self.border.share_log(document.recipient)
        read = log.page(request.line, request.after_sequence, request.limit or PAGE)
        return ReadShareLogResponse(entries=read.entries, floor_sequence=read.floor, head_sequence=read.head)

    @rpc
    def report_receipts(self, request: ReportReceiptsRequest) -> ReportReceiptsResponse:
        """Takes note of what the recipient has committed, and tells it what there is."""
        document = self._shared_with_caller(request.agreement_id)
        if foreign := request.sequences.keys() - share_lines(document):
            raise InvalidArgument.field("sequences", f"{min(foreign)} is no line of agreement {document.id}")
        log = self.border.share_log(document.recipient)
        log.raise_heads(request.sequences)
        receipt = self.store.get(Receipt, document.id) or Receipt(id=document.id)
        if receipt.advance(request.sequences):
            self.store.put(receipt)
        return ReportReceiptsResponse(heads=log.heads(document.id))

    # --- inward ------------------------------------------------------------------------------------------

    @inward
    def admit(self, event: Event, crossing: Crossing, shared_at: datetime) -> None:
        """Commits an arrived event to the own log, under its origin; one that no agreement allows is quarantined."""
        if admitted := arriving(
            self.store,
            crossing,
            event,
            here=self.border.here,
            shared_at=shared_at,
            now=self.clock.now(),
            settings=self.settings,
        ):
            self.emit.forward(admitted, line=admitted.line)

    @rpc
    def list_quarantine(self, request: ListQuarantineRequest) -> ListQuarantineResponse:
        """Lists what was not admitted, newest first."""
        found, token = newest(self.store, Quarantined, request)
        return ListQuarantineResponse(events=[refused.event() for refused in found], next_page_token=token)

    # --- lookups -----------------------------------------------------------------------------------------

    @rpc
    def lookup(self, request: LookupRequest) -> LookupResponse:
        """Asks another locality for a sector of this one."""
        return lookups.ask(self.store, self.reach, request, self.border.here, self.clock.now())

    @rpc
    def answer_lookup(self, request: AnswerLookupRequest) -> AnswerLookupResponse:
        """Answers the exchange of another locality, and records that it asked."""
        asker, now = self.caller.locality, self.clock.now()
        response = lookups.answer(self.store, self.reach, request, asker, self.border.here, now)
        if is_recorded(response):
            keep = timedelta(days=self.settings.lookups_keep_days)
            self.store.put(LookupRecord.of(request, response, asker, now, keep))
        return response

    @rpc
    def list_lookups(self, request: ListLookupsRequest) -> ListLookupsResponse:
        """Lists who looked up what here, newest first."""
        found, token = newest(self.store, LookupRecord, request, **given(agreement=request.agreement_id))
        return ListLookupsResponse(lookups=[record.lookup() for record in found], next_page_token=token)

    # -----------------------------------------------------------------------------------------------------

    def _require(self, id: str) -> AgreementDocument:
        return self.store.require(AgreementDocument, id, "agreement")

    def _kept(self, change: Change, before: AgreementDocument | None) -> Agreement:
        agreement = keep(self.store, change, before)
        agreement.carried = self.border.carried([agreement]).get(agreement.id, 0)
        return agreement

    def _shown(self, documents: list[AgreementDocument]) -> list[Agreement]:
        carried = self.border.carried(documents)
        return [document.agreement(carried.get(document.id, 0)) for document in documents]

    def _shared_with_caller(self, id: str) -> AgreementDocument:
        """The agreement, if this locality provides and the caller's receives. Else whether it exists is not told."""
        document = self.store.get(AgreementDocument, id)
        if document is None or (document.provider, document.recipient) != (self.border.here, self.caller.locality):
            raise PermissionDenied(f"agreement {id} shares nothing of {self.border.here} with you", agreement=id)
        return document


def _state(number: int) -> State:
    try:
        return State.of(number)
    except ValueError:
        raise InvalidArgument.field("state", "expects a state of the contract", rule="defined") from None
