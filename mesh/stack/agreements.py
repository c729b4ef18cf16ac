"""Keeps the hub's permissions equal to the agreements that both parties hold ACTIVE."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping

import grpc

from lienthong.exchange.v1 import AgreementState, ListAgreementsRequest
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from mesh.auth import TokenSource
from mesh.client import open_channel
from mesh.errors import TransientError
from mesh.stack.hub import Hub
from mesh.stack.permissions import Pair
from mesh.tls import Tls

POLL_INTERVAL_S = 0.5

_CALL_TIMEOUT_S = 2.0
_PAGE_SIZE = 1000
_log = logging.getLogger(__name__)


def allowed(
    known: Mapping[str, Collection[Pair]], answered: Collection[str], applied: Collection[Pair]
) -> frozenset[Pair]:
    """Returns the pairs to let through.

    `known` is what each locality last said is ACTIVE, `answered` who said so just now, `applied` what is let through.
    A pair needs the word of both parties. Something new needs it now; what is let through already stays while a party
    is silent, and ends as soon as either says no.
    """
    new = {pair for slug in answered for pair in known[slug] if set(pair) <= set(answered)}
    return frozenset(
        pair for pair in new | set(applied) if all(slug not in known or pair in known[slug] for slug in pair)
    )


class Exchanges:
    """The localities' exchanges, asked which pairs have an ACTIVE agreement."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        tokens: Mapping[str, TokenSource],
        tls: Mapping[str, Tls],
        applied: Callable[[], frozenset[Pair]],
    ) -> None:
        """`addresses`, `tokens` and `tls` are by locality; `applied` tells what is let through now."""
        self._channels = {slug: open_channel(at, tls[slug]) for slug, at in addresses.items()}
        self._tokens = tokens
        self._applied = applied
        self._known: dict[str, frozenset[Pair]] = {}

    async def active_pairs(self) -> frozenset[Pair]:
        """Asks all, and returns the pairs to let through (see `allowed`)."""
        answers = await asyncio.gather(*(self._ask(slug) for slug in self._channels))
        answered = {slug: pairs for slug, pairs in zip(self._channels, answers, strict=True) if pairs is not None}
        self._known.update(answered)
        return allowed(self._known, answered, self._applied())

    async def close(self) -> None:
        """Closes the connections."""
        for channel in self._channels.values():
            await channel.close()

    async def _ask(self, slug: str) -> frozenset[Pair] | None:
        """Returns what the locality holds ACTIVE; None when it does not answer."""
        exchange = ExchangeServiceStub(self._channels[slug])
        request = ListAgreementsRequest(state=AgreementState.AGREEMENT_STATE_ACTIVE, page_size=_PAGE_SIZE)
        pairs: set[Pair] = set()
        try:
            while True:
                page = await exchange.ListAgreements(
                    request,
                    timeout=_CALL_TIMEOUT_S,
                    metadata=(("authorization", f"Bearer {self._tokens[slug]()}"),),
                )
                pairs |= {(one.provider, one.recipient) for one in page.agreements if one.events}
                if not page.next_page_token:
                    return frozenset(pair for pair in pairs if slug in pair)
                request.page_token = page.next_page_token
        except grpc.aio.AioRpcError as failure:
            _log.debug("exchange of %s does not answer: %s", slug, failure.code())
            return None


async def keep_applied(
    hub: Hub, active_pairs: Callable[[], Awaitable[Collection[Pair]]], interval_s: float = POLL_INTERVAL_S
) -> None:
    """Applies what `active_pairs` returns to the hub, again and again, until cancelled."""
    while True:
        try:
            if await hub.apply(await active_pairs()):
                _log.info("the hub lets through: %s", sorted(hub.applied))
        except TransientError as failure:  # the hub is being restarted
            _log.debug("permissions not applied: %s", failure)
        except Exception:  # noqa: BLE001 - a revocation must still be seen after whatever this was
            _log.exception("permissions not applied")
        await asyncio.sleep(interval_s)
