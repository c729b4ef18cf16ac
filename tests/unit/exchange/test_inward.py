"""What arrives from another locality, before its handler sees it; and what is asked of the provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lienthong.exchange import v1 as pb
from mesh.errors import PermissionDenied, Unavailable
from mesh.events import Event, to_headers
from mesh.log import LOGGED_AT
from mesh.source import Delivery
from services.exchange import lifecycle
from services.exchange.documents import AgreementDocument
from services.exchange.inward import _arrived_from, _sent_by
from services.exchange.provider import Provider
from tests.unit.exchange.conftest import NOW, RAISED

LINE = "dn-hue-air-1/environment/air_quality_alert/0"
EVENT = Event(id="1", source="/da-nang/environment", type=RAISED, time=NOW, key="k", data=b"", sequence=3)
SOURCED = {"Nats-Stream-Source": "SHARED_DA_NANG_TO_HUE:abc 7 shared.da-nang.hue.> > x"}
DELIVERY = Delivery(LINE, 3, 7, {**to_headers(EVENT), **SOURCED}, b"")


class Asked:
    """A provider's exchange that answers as told, and the agreements known here."""

    def __init__(self, answer: Any, *documents: AgreementDocument) -> None:
        self._answer = answer
        self._documents = {document.id: document for document in documents}
        self.provider = Provider(None, "da-nang", self, asyncio.Event())
        self.provider._call = self._call

    def get(self, id: str) -> AgreementDocument | None:
        return self._documents.get(id)

    async def _call(self, method: str, request: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def active(agreement: Callable[..., pb.Agreement]) -> AgreementDocument:
    return AgreementDocument.of(lifecycle.apply(agreement(), None, {}, NOW).agreement)


@pytest.fixture
def revoked(active: AgreementDocument) -> AgreementDocument:
    return AgreementDocument.of(lifecycle.revoke(active.agreement(), NOW).agreement, active)


def test_only_the_provider_uses_its_subjects():
    accepts = _sent_by("da-nang", "hue")
    forged = {"Nats-Stream-Source": "SHARED_HA_NOI_TO_HUE:abc 7 shared.ha-noi.hue.> > x"}

    assert accepts(DELIVERY)
    assert accepts(replace(DELIVERY, headers=to_headers(EVENT)))  # read at the provider
    assert not accepts(replace(DELIVERY, headers={**to_headers(EVENT), **forged}))


def test_an_event_is_judged_by_its_subject_and_the_time_it_was_shared():
    shared_at = NOW + timedelta(minutes=5)
    headers = {**DELIVERY.headers, LOGGED_AT: "2026-11-23T08:05:00.000Z", "ce-agreement": "another"}

    event, crossing, at = _arrived_from("da-nang", "hue")(EVENT, replace(DELIVERY, headers=headers))

    assert event is EVENT
    assert crossing.subject == "shared.da-nang.hue." + LINE.replace("/", ".")
    assert at == shared_at


@pytest.mark.parametrize("logged", ["", "yesterday", "2026-11-23T08:05:00"])
def test_where_the_log_does_not_say_the_time_of_birth_counts(logged: str):
    delivery = replace(DELIVERY, headers={**DELIVERY.headers, LOGGED_AT: logged})

    assert _arrived_from("da-nang", "hue")(EVENT, delivery)[2] == NOW


async def test_a_hole_is_filled_from_the_share_log(active: AgreementDocument):
    entry = {"line": LINE, "sequence": 2, "position": 40, "headers": to_headers(EVENT), "data": b"x"}
    asked = Asked(pb.ReadShareLogResponse(entries=[entry], floor_sequence=1, head_sequence=5), active)

    refilled = await asked.provider.refill(LINE, 1, 100)

    assert refilled.deliveries == [Delivery(LINE, 2, 0, to_headers(EVENT), b"x")]
    assert refilled.head == 5


async def test_a_hole_waits_while_the_agreement_carries(active: AgreementDocument):
    """The provider may have suspended it already, or may be away."""
    for refusal in (PermissionDenied("suspended"), Unavailable("away")):
        with pytest.raises(type(refusal)):
            await Asked(refusal, active).provider.refill(LINE, 1, 100)


async def test_a_hole_of_an_ended_agreement_is_given_up(revoked: AgreementDocument):
    for known in ((revoked,), ()):
        refilled = await Asked(PermissionDenied("over"), *known).provider.refill(LINE, 1, 100)

        assert refilled.deliveries == []
        assert refilled.head > 10**9
