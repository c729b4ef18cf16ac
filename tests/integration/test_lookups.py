"""Lookups across the border: what an agreement lets another locality ask, and what it does not."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from lienthong.exchange import v1 as pb
from mesh.testing import ManualClock
from tests.conftest import RunningNats
from tests.hosts import Homes, detail_of, eventually
from tests.integration.towns import AGREEMENT, PURPOSE, RPC, Town, Towns
from tests.trial.contract import GetTotalRequest

PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture
async def towns(empty_nats: RunningNats, new_nats_server: RunningNats, homes: Homes) -> Towns:
    """Two towns; nothing is agreed yet. The provider knows a total of 5 under `a`."""
    both = [Town(homes(nats=server)) for server in (empty_nats, new_nats_server)]
    for town in both:
        town.befriend(both)
        await town.run()
    await both[0].home.trial(both[0].host).record("a", 5)
    return Towns(*both)


class TestAnActiveAgreement:
    """What a caller is answered."""

    async def test_lets_a_caller_ask_another_locality_as_it_asks_its_own(self, towns: Towns) -> None:
        await towns.agree()

        there = await towns.look_up("a")

        assert (there.key, there.total, list(there.withheld)) == ("a", 5, [])

    async def test_names_the_fields_it_withholds_so_that_they_do_not_read_as_0(self, towns: Towns) -> None:
        await towns.agree("key")

        there = await towns.look_up("a")

        assert (there.key, there.total, list(there.withheld)) == ("a", 0, ["total"])

    async def test_is_not_needed_to_ask_here(self, towns: Towns) -> None:
        """An empty locality and the own slug are the same."""
        await towns.recipient.home.trial(towns.recipient.host).record("a", 7)

        for here in ("", towns.recipient.slug):
            assert (await towns.recipient.total("a", of=here)).total == 7

    async def test_passes_the_answer_of_the_sector_on_also_when_it_is_a_refusal(self, towns: Towns) -> None:
        await towns.agree()

        error = await towns.refused("nothing")

        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert detail_of(error, "ResourceInfo").resource_name == "nothing"

    async def test_is_for_its_purpose(self, towns: Towns) -> None:
        """A token that names a purpose may ask under an agreement for that purpose only."""
        await towns.agree()

        assert (await towns.look_up(token=towns.recipient.token_for(PURPOSE))).total == 5
        error = await towns.refused(token=towns.recipient.token_for("curiosity"))

        assert error.code() == PERMISSION_DENIED
        assert detail_of(error, "ErrorInfo").metadata == {"agreement": AGREEMENT}
        assert PURPOSE in error.details()

    async def test_is_the_only_one_of_its_parties_for_a_lookup(self, towns: Towns) -> None:
        await towns.agree()

        with pytest.raises(grpc.aio.AioRpcError, match=f"{AGREEMENT} is ACTIVE and already grants {RPC}"):
            await towns.provider.apply(towns.agreement(id="trial-2"))

    async def test_sets_up_nothing_on_the_bus_when_it_shares_no_event(self, towns: Towns) -> None:
        await towns.agree()
        await towns.look_up()

        jetstream = await towns.provider.home.jetstream()

        streams = [info.config.name for info in await jetstream.streams_info()]
        assert not [name for name in streams if name and name.startswith(("SHARED_", "RECEIVED_"))]


class TestNoAgreement:
    """What is refused, and with which words."""

    async def test_refuses_naming_the_lookup_and_both_localities(self, towns: Towns) -> None:
        error = await towns.refused()

        assert error.code() == PERMISSION_DENIED
        lets = f"no ACTIVE agreement lets {towns.recipient.slug} look up {RPC} in {towns.provider.slug}"
        assert error.details() == lets

    async def test_lets_nobody_ask_the_other_way_round(self, towns: Towns) -> None:
        await towns.agree()

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await towns.provider.total("a", of=towns.recipient.slug)

        assert refused.value.code() == PERMISSION_DENIED

    @pytest.mark.parametrize("locality", ["hanoi", "Da-Nang", "da-nang ", "*", "..", "/"])
    async def test_of_an_unknown_locality_is_an_invalid_argument(self, towns: Towns, locality: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await towns.recipient.total("a", of=locality)

        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        [broken] = detail_of(refused.value, "BadRequest").field_violations
        assert (broken.field, broken.reason) == ("locality", "KNOWN")

    async def test_a_caller_without_the_scope_asks_nobody(self, towns: Towns) -> None:
        """Who may not ask here may not ask elsewhere."""
        await towns.agree()

        error = await towns.refused(token=towns.recipient.home.token("trial.write"))

        assert error.code() == PERMISSION_DENIED
        assert detail_of(error, "ErrorInfo").metadata == {"scope": "trial.read"}
        assert await towns.provider.lookups() == []

    async def test_an_invalid_request_does_not_leave(self, towns: Towns) -> None:
        await towns.agree()

        error = await towns.refused("")

        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert await towns.provider.lookups() == []


class TestWhoeverEndsAnAgreement:
    """Either party's word is enough, at once."""

    @pytest.mark.parametrize("verb", ["Suspend", "Revoke"])
    @pytest.mark.parametrize("side", ["provider", "recipient"])
    async def test_ends_its_lookups(self, towns: Towns, side: str, verb: str) -> None:
        await towns.agree()
        await towns.look_up()

        await getattr(towns, side).move(verb)

        error = await towns.refused()
        assert error.code() == PERMISSION_DENIED
        assert "agreement" in error.details()
        assert RPC in error.details() or AGREEMENT in error.details()

    async def test_may_resume_it(self, towns: Towns) -> None:
        await towns.agree()
        await towns.provider.move("Suspend")
        await towns.refused()

        await towns.provider.move("Resume")

        assert (await towns.look_up()).total == 5

    @pytest.mark.parametrize("late", ["provider", "recipient"])
    async def test_need_not_be_anyone_when_its_date_has_come(self, towns: Towns, late: str) -> None:
        """Judged by the clock of each party: not by when it gets round to writing EXPIRED."""
        town: Town = getattr(towns, late)
        await towns.agree(valid_until=datetime.now(UTC) + timedelta(hours=1))
        await towns.look_up()
        await town.halt()
        await town.run(ManualClock(datetime.now(UTC) + timedelta(hours=2)))

        error = await towns.refused()

        assert error.code() == PERMISSION_DENIED

    async def test_does_so_in_the_middle_of_traffic(self, towns: Towns) -> None:
        """What was answered is recorded, each once; nothing is answered that was asked after the revocation."""
        await towns.agree()
        answered: list[float] = []
        refused: list[grpc.StatusCode] = []

        async def ask_until_refused() -> None:
            while not refused:
                asked_at = time.monotonic()
                try:
                    await towns.look_up()
                except grpc.aio.AioRpcError as error:
                    refused.append(error.code())
                else:
                    answered.append(asked_at)

        asking = [asyncio.create_task(ask_until_refused()) for _ in range(8)]
        await eventually(lambda: len(answered) >= 50)
        await towns.provider.move("Revoke")
        revoked_at = time.monotonic()
        await asyncio.gather(*asking)

        assert max(answered) < revoked_at
        assert set(refused) == {PERMISSION_DENIED}
        outcomes = [lookup.outcome for lookup in await towns.provider.lookups()]
        assert outcomes.count("OK") == len(answered)
        assert outcomes.count("PERMISSION_DENIED") == len(refused)


class TestAPeerThatIsAway:
    """Only its own callers notice."""

    async def test_is_unavailable_within_the_deadline(self, towns: Towns) -> None:
        await towns.agree()
        await towns.provider.halt()
        started = time.monotonic()

        error = await towns.refused(within_s=5)

        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - started < 5

    async def test_does_not_keep_callers_from_their_own_sector(self, towns: Towns) -> None:
        """The breaker that opens is the peer's: this locality's own services are asked as before."""
        await towns.agree()
        await towns.recipient.home.trial(towns.recipient.host).record("a", 7)
        await towns.provider.halt()
        await asyncio.gather(*(towns.refused(within_s=1) for _ in range(12)))

        assert (await towns.recipient.total("a")).total == 7
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await towns.recipient.total("a", of=towns.third)
        assert refused.value.code() == PERMISSION_DENIED, "the own exchange is asked, and answers"

    async def test_is_asked_again_when_it_is_back(self, towns: Towns) -> None:
        await towns.agree()
        await towns.provider.halt()
        asking = asyncio.create_task(towns.look_up(within_s=20))

        await towns.provider.run()

        assert (await asking).total == 5

    async def test_that_takes_calls_and_never_answers_is_unavailable_too(self, towns: Towns) -> None:
        """Nobody finds its port closed; who waits is told in time all the same."""
        await towns.agree()
        await towns.provider.halt()
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", towns.provider.port)

        async with silent:
            error = await towns.refused(within_s=5)

        assert error.code() == grpc.StatusCode.UNAVAILABLE


class TestTheRecord:
    """Who looked up what, as the provider keeps it."""

    async def test_tells_who_asked_what_for_and_how_it_ended_but_neither_question_nor_answer(
        self, towns: Towns
    ) -> None:
        await towns.agree()
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"

        await towns.look_up("a", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
        await towns.refused("nothing")

        missed, found = await towns.provider.lookups(AGREEMENT)
        assert (found.recipient, found.purpose, found.rpc) == (towns.recipient.slug, PURPOSE, RPC)
        assert [found.outcome, missed.outcome] == ["OK", "NOT_FOUND"]
        assert found.trace_id == trace
        [raw, _] = towns.provider.home.database("exchange")["lookups"].find().sort("at")
        assert set(raw) >= {"_id", "recipient", "agreement", "purpose", "rpc", "outcome", "trace_id", "at", "expire_at"}
        assert "nothing" not in str(raw)

    async def test_is_read_in_pages_newest_first(self, towns: Towns) -> None:
        await towns.agree()
        for _ in range(7):
            await towns.look_up()

        found = await towns.provider.lookups()

        assert len({lookup.id for lookup in found}) == 7
        assert [lookup.at.ToMicroseconds() for lookup in found] == sorted(
            (lookup.at.ToMicroseconds() for lookup in found), reverse=True
        )
        assert await towns.provider.lookups("another") == []
        assert await towns.recipient.lookups() == []

    async def test_refuses_a_page_token_of_another_list(self, towns: Towns) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await towns.provider.ask("ListLookups", pb.ListLookupsRequest(page_token="trial-1"))

        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


class TestAnotherExchange:
    """What a peer may ask of an exchange, and what it may not have it ask."""

    def peer_token(self, towns: Towns, *scopes: str) -> str:
        """A token the recipient's exchange signs for the provider."""
        return towns.recipient.home.token(*scopes, audience=towns.provider.slug)

    def question(self, towns: Towns, **given: object) -> pb.AnswerLookupRequest:
        asked = GetTotalRequest(key="a", locality=towns.provider.slug)
        fields = {"agreement_id": AGREEMENT, "rpc": RPC, "request": asked.SerializeToString(), "purpose": PURPOSE}
        return pb.AnswerLookupRequest(**{**fields, **given})

    async def test_is_answered_with_the_one_scope_of_its_kind(self, towns: Towns) -> None:
        await towns.agree()

        answer = await towns.provider.ask(
            "AnswerLookup", self.question(towns), self.peer_token(towns, "exchange.lookup")
        )

        assert answer.answer

    async def test_cannot_have_this_one_ask_a_third(self, towns: Towns) -> None:
        """Neither by the RPC sectors use, nor by a request that names another locality."""
        await towns.agree()
        request = pb.LookupRequest(locality=towns.recipient.slug, rpc=RPC)
        token = self.peer_token(towns, "exchange.lookup")

        with pytest.raises(grpc.aio.AioRpcError, match=r"exchange\.ask"):
            await towns.provider.ask("Lookup", request, token)
        with pytest.raises(grpc.aio.AioRpcError, match=r"exchange\.ask"):
            await towns.provider.ask("Lookup", request, self.peer_token(towns, "exchange.ask"))
        onward = GetTotalRequest(key="a", locality=towns.third).SerializeToString()
        answer = await towns.provider.ask("AnswerLookup", self.question(towns, request=onward), token)
        assert answer.refusal.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"agreement_id": "trial-9"}, grpc.StatusCode.PERMISSION_DENIED),
            ({"rpc": "trial.v1.TrialService/Record"}, grpc.StatusCode.PERMISSION_DENIED),
            ({"rpc": "trial.v1.TrialService/Nothing"}, grpc.StatusCode.PERMISSION_DENIED),
            ({"rpc": "os.path/join"}, grpc.StatusCode.PERMISSION_DENIED),
            ({"rpc": "no rpc at all"}, grpc.StatusCode.PERMISSION_DENIED),
            ({"purpose": "curiosity"}, grpc.StatusCode.PERMISSION_DENIED),
            ({"request": b"\xff\xff"}, grpc.StatusCode.INVALID_ARGUMENT),
            ({"request": b""}, grpc.StatusCode.INVALID_ARGUMENT),
        ],
    )
    async def test_is_refused_what_it_was_not_granted(
        self, towns: Towns, given: dict[str, object], code: grpc.StatusCode
    ) -> None:
        """And each refusal is on record."""
        await towns.agree()

        answer = await towns.provider.ask(
            "AnswerLookup", self.question(towns, **given), self.peer_token(towns, "exchange.lookup")
        )

        assert answer.refusal.code == code.value[0]
        assert [lookup.outcome for lookup in await towns.provider.lookups()] == [code.name]

    async def test_may_not_use_an_agreement_of_others(self, towns: Towns) -> None:
        """The provider asks under the recipient's agreement: it is not a party that may."""
        await towns.agree()
        own = towns.provider.home.token("exchange.lookup")

        answer = await towns.provider.ask("AnswerLookup", self.question(towns), own)

        assert answer.refusal.code == PERMISSION_DENIED.value[0]
        assert "does not let" in answer.refusal.message
