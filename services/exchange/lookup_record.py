"""Who looked up what here: one record for each lookup that was answered or refused for good.

What was asked and what was answered is not kept: either may be personal.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import ClassVar

import grpc
from mongoengine import DateTimeField, StringField

from lienthong.exchange.v1 import AnsweredLookup, AnswerLookupRequest, AnswerLookupResponse
from mesh import Document
from mesh.errors import from_status
from mesh.telemetry import inject


class LookupRecord(Document):
    """One lookup. Staged by the unit that read the agreement: no answer leaves before its record is durable."""

    id = StringField(primary_key=True)
    recipient = StringField(required=True)
    agreement = StringField(required=True)
    purpose = StringField(required=True)
    rpc = StringField(required=True)
    outcome = StringField(required=True)
    """Name of the gRPC status."""
    trace_id = StringField()
    at = DateTimeField(required=True)
    expire_at = DateTimeField(required=True)

    meta: ClassVar = {
        "collection": "lookups",
        "indexes": [("agreement", "-at"), "-at", {"fields": ["expire_at"], "expireAfterSeconds": 0}],
    }

    @classmethod
    def of(
        cls,
        request: AnswerLookupRequest,
        response: AnswerLookupResponse,
        recipient: str,
        now: datetime,
        keep: timedelta,
    ) -> LookupRecord:
        """Returns the record of what `recipient` was told at `now`."""
        traceparent, _ = inject()
        return cls(
            id=uuid.uuid4().hex,
            recipient=recipient,
            agreement=request.agreement_id,
            purpose=request.purpose,
            rpc=request.rpc,
            outcome=_outcome(response),
            trace_id=traceparent.split("-")[1] if traceparent else "",
            at=now,
            expire_at=now + keep,
        )

    def lookup(self) -> AnsweredLookup:
        """Returns the record as the contract has it."""
        shown = AnsweredLookup(
            id=self.id,
            recipient=self.recipient,
            agreement=self.agreement,
            purpose=self.purpose,
            rpc=self.rpc,
            outcome=self.outcome,
            trace_id=self.trace_id,
        )
        shown.at.FromDatetime(self.at)
        return shown


def is_recorded(response: AnswerLookupResponse) -> bool:
    """Whether anything was told: where a sector is away nothing is, and the asker tries again."""
    return not response.HasField("refusal") or not from_status(response.refusal).transient


def _outcome(response: AnswerLookupResponse) -> str:
    return next(status.name for status in grpc.StatusCode if status.value[0] == response.refusal.code)
