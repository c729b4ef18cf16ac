"""Lookups across the border: what the recipient may ask, what the provider answers.

Both judge by their own copy of the agreement, so that either ends it at once, and both reduce the answer to the fields
of their copy. A refusal is told in the answer, not raised: so its record is committed, and a peer or a sector that is
away counts against none of those in between.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError, Message

from lienthong.exchange.v1 import (
    Agreement,
    AnswerLookupRequest,
    AnswerLookupResponse,
    LookupRequest,
    LookupResponse,
)
from mesh.errors import InvalidArgument, MeshError, PermissionDenied, from_status
from mesh.lookup import LOCALITY, Lookup, find_lookup
from mesh.store import Documents
from services.exchange.agreement import State, grant_id, is_valid_at, lookup_fields_of, state_of
from services.exchange.answer_fields import answer_projection
from services.exchange.documents import AgreementDocument, Grant
from services.exchange.reaching import Reach


def ask(store: Documents, reach: Reach, request: LookupRequest, here: str, now: datetime) -> LookupResponse:
    """Asks a provider for a sector of `here`, under the ACTIVE agreement that grants it."""
    grant = store.get(Grant, grant_id(request.locality, here, request.rpc))
    response = LookupResponse(agreement_id=grant.agreement if grant else "")
    try:
        agreement = _held(store, response.agreement_id, request.locality, here, request.rpc)
        lookup = granted(agreement, request.rpc, request.purpose, now)
        purpose = request.purpose or agreement.purpose
        asked = AnswerLookupRequest(
            agreement_id=agreement.id, rpc=request.rpc, request=request.request, purpose=purpose
        )
        response.answer = _answered(agreement, lookup, reach.peer(request.locality, asked))
    except MeshError as error:
        response.refusal.CopyFrom(error.to_status())
    return response


def answer(
    store: Documents, reach: Reach, request: AnswerLookupRequest, asker: str, here: str, now: datetime
) -> AnswerLookupResponse:
    """Answers locality `asker` what an ACTIVE agreement grants it, as sectors of `here` know it."""
    response = AnswerLookupResponse()
    try:
        agreement = _held(store, request.agreement_id, here, asker, request.rpc)
        lookup = granted(agreement, request.rpc, request.purpose, now)
        said = reach.sector(lookup, _read_request(lookup, request.request, here))
        response.answer = _reduced(agreement, lookup, said)
    except MeshError as error:
        response.refusal.CopyFrom(error.to_status())
    return response


def granted(agreement: Agreement, rpc: str, purpose: str, now: datetime) -> Lookup:
    """Returns the lookup an agreement grants now for a purpose; none said is its own. Raises PermissionDenied."""
    # Only what was granted is looked for: `rpc` is a peer's word.
    lookup = find_lookup(rpc) if lookup_fields_of(agreement, rpc) is not None else None
    state = state_of(agreement)
    if lookup is None:
        why = f"does not grant {rpc}"
    elif state is not State.ACTIVE:
        why = f"is {state}"
    elif not is_valid_at(agreement, now):
        why = "is not valid now"
    elif purpose not in ("", agreement.purpose):
        why = f"is for the purpose {agreement.purpose!r} and no other"
    else:
        return lookup
    raise PermissionDenied(f"agreement {agreement.id} {why}", agreement=agreement.id)


def _held(store: Documents, id: str, provider: str, recipient: str, rpc: str) -> Agreement:
    """The agreement kept here under `id`. Whether one of other parties exists is not told."""
    document = store.get(AgreementDocument, id) if id else None
    if document is None or (document.provider, document.recipient) != (provider, recipient):
        lets = f"agreement {id} does not let" if id else "no ACTIVE agreement lets"
        raise PermissionDenied(f"{lets} {recipient} look up {rpc} in {provider}", agreement=id)
    return document.agreement()


def _read_request(lookup: Lookup, data: bytes, here: str) -> Message:
    """The request as this locality's sector gets it: it is asked for itself and for no third locality."""
    try:
        request: Any = lookup.request.FromString(data)
    except DecodeError:
        raise InvalidArgument.field("request", f"is no {lookup.request.DESCRIPTOR.full_name}") from None
    if request.locality != here:
        raise InvalidArgument.field(LOCALITY, f"must be {here}, the locality that is asked")
    return request


def _answered(agreement: Agreement, lookup: Lookup, said: AnswerLookupResponse) -> bytes:
    """What a provider answered, reduced once more. Raises what it was refused with."""
    if said.HasField("refusal"):
        raise from_status(said.refusal)
    return _reduced(agreement, lookup, lookup.response.FromString(said.answer))


def _reduced(agreement: Agreement, lookup: Lookup, response: Message) -> bytes:
    fields = lookup_fields_of(agreement, lookup.name)
    assert fields is not None, "granted() said so"
    answer_projection(lookup.response, fields).apply(response)
    return response.SerializeToString()
