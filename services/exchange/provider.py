"""A provider: the exchange of another locality, asked over gRPC for what its stream did not bring."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from lienthong.exchange.v1 import ReadShareLogRequest, ReportReceiptsRequest
from mesh.errors import NotFound, PermissionDenied
from mesh.marks import Start
from mesh.source import Delivery, Refilled
from services.exchange.agreement import State
from services.exchange.agreements import Agreements
from services.exchange.peer import Peer
from services.exchange.share_log import agreement_of

SCOPE = "exchange.refill"
_EVERYTHING = 2**63 - 1


class Provider:
    """`LogBehind` of what one provider shares with this locality."""

    def __init__(self, host: Any, locality: str, agreements: Agreements, report_now: asyncio.Event) -> None:
        """`report_now` is set when the provider should be told how far its events are committed here."""
        self.locality = locality
        self._peer = Peer(host, locality, SCOPE)
        self._agreements = agreements
        self._report_now = report_now

    async def begin(self, everything: bool) -> Start:
        """Every share line is numbered from 1 and wanted from its beginning."""
        return Start(0, {})

    async def heads(self) -> Mapping[str, int] | None:
        """Asks anew, for the agreements of this provider that may carry something."""
        shared = [a.id for a in self._agreements if a.provider == self.locality and a.shares_events]
        known = [agreement for agreement in shared if self._carries(agreement)]
        answers = await asyncio.gather(*(self.report(agreement, {}) for agreement in known))
        return {line: head for answer in answers for line, head in answer.items()}

    async def announce(self, position: int, sequences: Mapping[str, int]) -> None:
        """Leaves it to the next report, so that nobody waits for a provider that is away."""
        self._report_now.set()

    async def refill(self, line: str, after_sequence: int, limit: int) -> Refilled:
        """Reads a share line at the provider, which checks the agreement anew.

        Where the agreement is over on both sides there is nothing to wait for: the hole is given up.
        """
        agreement = agreement_of(line)
        request = ReadShareLogRequest(agreement_id=agreement, line=line, after_sequence=after_sequence, limit=limit)
        try:
            answer = await self._call("ReadShareLog", request)
        except (PermissionDenied, NotFound):
            if self._carries(agreement):
                raise
            return Refilled([], _EVERYTHING)
        # Its positions are those of another node's stream: of no use here.
        entries = [Delivery(e.line, e.sequence, 0, dict(e.headers), e.data) for e in answer.entries]
        return Refilled(entries, answer.head_sequence)

    async def report(self, agreement: str, sequences: Mapping[str, int]) -> Mapping[str, int]:
        """Reports what is committed here; returns the highest sequence ever given on each line of the agreement."""
        request = ReportReceiptsRequest(agreement_id=agreement, sequences=sequences)
        answer = await self._call("ReportReceipts", request)
        return dict(answer.heads)

    async def close(self) -> None:
        """Closes the connection."""
        await self._peer.close()

    def _carries(self, agreement: str) -> bool:
        document = self._agreements.get(agreement)
        return document is not None and document.state in (State.ACTIVE, State.SUSPENDED)

    async def _call(self, method: str, request: Any) -> Any:
        return await self._peer.call(method, request, repeatable=True)
