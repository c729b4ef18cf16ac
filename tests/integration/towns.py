"""Two localities that ask each other: each with the trial sector and an exchange, and agreements about lookups."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc

from lienthong.exchange import v1 as pb
from lienthong.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from mesh.clock import Time
from mesh.host import Host
from mesh.localities import slugs
from mesh.stack.ports import free_port
from services.exchange.service import ExchangeService
from tests.hosts import Home
from tests.trial.contract import GetTotalRequest, GetTotalResponse, TrialServiceStub
from tests.trial.services import TrialService

RPC = "trial.v1.TrialService/GetTotal"
AGREEMENT = "trial-1"
PURPOSE = "trial of lookups"


class Town:
    """One of them, as its callers and its operator see it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.slug = home.locality
        self.port = free_port()
        self.host: Host
        self.peers: dict[str, str] = {}
        self.believed: list[str] = []

    def befriend(self, towns: Iterable[Town]) -> None:
        """Tells where the others are, and whose tokens to believe."""
        self.believed = [town.slug for town in towns]
        self.peers = {town.slug: f"127.0.0.1:{town.port}" for town in towns if town is not self}

    async def run(self, clock: Time | None = None) -> None:
        own = self.home.settings().auth.private_key_file
        auth = {"private_key_file": str(own), "issuers": self.home.keys.issuers(self.believed)}
        services = (TrialService, ExchangeService)
        self.host = await self.home.start(*services, clock=clock, grpc_port=self.port, peers=self.peers, auth=auth)

    async def halt(self) -> None:
        await self.home.stop(self.host)

    async def total(
        self, key: str, of: str = "", *, token: str = "", within_s: float = 10.0, **metadata: str
    ) -> GetTotalResponse:
        """Asks the own trial sector for a total, of another locality."""
        stub = TrialServiceStub(self.home.channel(self.host))
        sent = [("authorization", f"Bearer {token or self.home.token('trial.read')}"), *metadata.items()]
        return await stub.GetTotal(GetTotalRequest(key=key, locality=of), metadata=sent, timeout=within_s)

    async def ask(self, method: str, request: Any, token: str = "") -> Any:
        """Asks the own exchange, as an operator unless told otherwise."""
        stub = ExchangeServiceStub(self.home.channel(self.host))
        metadata = [("authorization", f"Bearer {token or self.home.token('*')}")]
        return await getattr(stub, method)(request, metadata=metadata, timeout=20)

    async def apply(self, agreement: pb.Agreement) -> None:
        await self.ask("ApplyAgreement", pb.ApplyAgreementRequest(request_id=uuid.uuid4().hex, agreement=agreement))

    async def move(self, verb: str, agreement: str = AGREEMENT) -> None:
        request = getattr(pb, f"{verb}AgreementRequest")(request_id=uuid.uuid4().hex, agreement_id=agreement)
        await self.ask(f"{verb}Agreement", request)

    async def lookups(self, agreement: str = "") -> list[pb.AnsweredLookup]:
        """Who looked up what here, newest first, read in pages of three."""
        found: list[pb.AnsweredLookup] = []
        request = pb.ListLookupsRequest(agreement_id=agreement, page_size=3)
        while True:
            page = await self.ask("ListLookups", request)
            found += page.lookups
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def token_for(self, purpose: str) -> str:
        """A token of the trial's readers that says what it is for."""
        return self.home.token("trial.read", purpose=purpose)


@dataclass
class Towns:
    """`provider` knows, `recipient` asks."""

    provider: Town
    recipient: Town

    @property
    def third(self) -> str:
        """Slug of a locality that is neither."""
        return next(slug for slug in slugs() if slug not in (self.provider.slug, self.recipient.slug))

    async def agree(self, *fields: str, **given: Any) -> None:
        """Applies an agreement at both, the recipient first."""
        agreement = self.agreement(*fields, **given)
        await self.recipient.apply(agreement)
        await self.provider.apply(agreement)

    def agreement(self, *fields: str, id: str = AGREEMENT, **times: datetime) -> pb.Agreement:
        """Lets the recipient look up totals of the provider."""
        agreement = pb.Agreement(
            id=id,
            provider=self.provider.slug,
            recipient=self.recipient.slug,
            purpose=PURPOSE,
            legal_basis="decree-278-2025/art-7",
            lookups=[pb.GrantedLookup(rpc=RPC, fields=fields or ("*",))],
        )
        agreement.valid_from.FromDatetime(times.get("valid_from", datetime(2020, 1, 1, tzinfo=UTC)))
        agreement.valid_until.FromDatetime(times.get("valid_until", datetime(2099, 1, 1, tzinfo=UTC)))
        return agreement

    async def look_up(self, key: str = "a", **given: Any) -> GetTotalResponse:
        """The recipient's caller asks for a total of the provider."""
        return await self.recipient.total(key, of=self.provider.slug, **given)

    async def refused(self, key: str = "a", **given: Any) -> grpc.aio.AioRpcError:
        """As `look_up`, which must fail."""
        try:
            answer = await self.look_up(key, **given)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError(f"it was answered: {answer}")
