"""Agreements as the exchanges of running localities hold them."""

from __future__ import annotations

from lienthong.exchange.v1 import Agreement, AgreementState, ListAgreementsRequest
from mesh.cli.running import EXCHANGE, RunningMesh


async def held_at(mesh: RunningMesh, locality: str) -> list[Agreement]:
    """Every agreement a locality's exchange knows, by id; none where no exchange runs."""
    if "exchange" not in await mesh.services(locality):
        return []
    found: list[Agreement] = []
    request = ListAgreementsRequest(page_size=1000)
    while True:
        page = await mesh.client(locality, EXCHANGE).call("ListAgreements", request)
        found += page.agreements
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def state_name(state: int) -> str:
    """`ACTIVE` for `AGREEMENT_STATE_ACTIVE`."""
    return AgreementState.Name(state).removeprefix("AGREEMENT_STATE_")
