"""Asks a lookup of another locality, for a caller of this one: by way of the own exchange."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import Message

from lienthong.exchange.v1 import LookupRequest
from mesh.auth import Caller
from mesh.client import Client, attempts
from mesh.contracts import contract_name
from mesh.errors import DeadlineExceeded, InvalidArgument, Unavailable, from_status
from mesh.identity import EXCHANGE
from mesh.localities import slugs
from mesh.lookup import LOCALITY, Lookup
from mesh.telemetry import asked_under

if TYPE_CHECKING:
    from mesh.host import Host

SCOPE: Final = "exchange.ask"


class Elsewhere:
    """One lookup of one process. Whoever asks it has been let in here, with the scope it needs here."""

    def __init__(self, host: Host, lookup: Lookup) -> None:
        self._host = host
        self._lookup = lookup
        self._here = host.settings.locality

    def is_meant(self, request: Any) -> bool:
        """Whether a request asks another locality."""
        return request.locality not in ("", self._here)

    async def ask(self, request: Any, caller: Caller, deadline: float) -> Message:
        """Returns what the other locality answers; tries again while it is away, until `deadline` (monotonic).

        Raises InvalidArgument for an unknown locality, PermissionDenied where no agreement grants it, Unavailable where
        nobody answers, and whatever the RPC itself is refused with.
        """
        if request.locality not in slugs():
            message = "expects the slug of a locality, such as da-nang"
            raise InvalidArgument.field(LOCALITY, message, rule="known")
        asked = LookupRequest(
            locality=request.locality,
            rpc=self._lookup.name,
            request=request.SerializeToString(),
            purpose=caller.purpose,
        )
        exchange = self._host.neighbours.caller(EXCHANGE, contract_name(EXCHANGE), SCOPE)
        async for attempt in attempts(deadline, repeat=True):
            with attempt:
                return await self._once(exchange, asked, deadline)
        raise AssertionError("tenacity re-raises the last error")

    async def _once(self, exchange: Client, asked: LookupRequest, deadline: float) -> Message:
        try:
            said = await exchange.call("Lookup", asked, deadline_s=deadline - time.monotonic(), repeatable=False)
        except DeadlineExceeded:
            # A lookup changes nothing: whether it was still done is of no interest, only that nobody answered.
            raise Unavailable(f"{asked.locality} did not answer in time") from None
        asked_under(said.agreement_id)
        if said.HasField("refusal"):
            raise from_status(said.refusal)
        return self._lookup.response.FromString(said.answer)
