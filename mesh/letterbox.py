"""The letterbox: does what operators ask of the dead letters of one holding."""

from __future__ import annotations

from mesh import letters
from mesh.commit import Committed
from mesh.effects import stage_effect
from mesh.errors import MeshError
from mesh.events import from_headers
from mesh.holding import Holding
from mesh.source import Delivery
from mesh.unit import Raw, Run, Unit

_EVERY_S = 1.0


class Letterbox:
    """Retries and drops letters between two batches of the live flow, so a key is never worked on twice at once."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._looked_at = 0.0

    def look_now(self) -> None:
        """Makes the next `act` look, however recent the last one was."""
        self._looked_at = 0.0

    async def act(self) -> None:
        """Runs or drops the letters operators asked for, with what waits behind them."""
        container = self._holding.container
        now = container.host.loop.time()
        if not self._holding.has_letters or now - self._looked_at < _EVERY_S:
            return
        self._looked_at = now
        where = (self._holding.handling.subscription, self._holding.source.stream, self._holding.partition)
        for letter in await container.in_thread(letters.requested, container.database, *where):
            state = self._holding.mark.lines.get(letter["line"])
            if state is None or not state.parked:
                await self._release(letter)

    async def _release(self, letter: Raw) -> None:
        """Drops or runs a letter, then runs what waits behind it, in order, until one fails."""
        container = self._holding.container
        dropped = letter["state"] == letters.DROP
        while await self._gone(letter, dropped):
            if not letter["key"]:
                return
            following = await container.in_thread(letters.behind, container.database, letter)
            if following is None:
                self._holding.blocked.discard((letter["line"], letter["key"]))
                return
            if following["state"] == letters.DEAD:
                return
            letter, dropped = following, following["state"] == letters.DROP

    async def _gone(self, letter: Raw, dropped: bool) -> bool:
        """Runs one letter unless it is dropped; its effect is committed with its removal."""
        container = self._holding.container
        unit = Unit()
        if not dropped:
            try:
                unit = await container.in_thread(self._effects_of, letter)
            except MeshError as error:
                if not error.transient:
                    letters.stage_failure(unit, letter, error)
                    await container.commit(Run([unit]))
                return False
        else:
            self._record_dropped(unit, letter)
        letters.stage_removal(unit, letter)
        return isinstance(await container.commit(Run([unit])), Committed)

    def _record_dropped(self, unit: Unit, letter: Raw) -> None:
        """An event given up on purpose is accounted for: a recount must not call it lost."""
        for sequence in range(letter["sequence"], letter["last_sequence"] + 1):
            stage_effect(
                unit,
                subscription=letter["subscription"],
                line=letter["line"],
                sequence=sequence,
                causation_id=letter["headers"].get("ce-id", ""),
                committed={"DROPPED": 1},
                caused_at=letter["at"],
            )

    def _effects_of(self, letter: Raw) -> Unit:
        event = from_headers(letter["headers"], letter["data"])
        delivery = Delivery(letter["line"], letter["sequence"], 0, letter["headers"], letter["data"])
        return self._holding.handler.effects_of(event, delivery, {})
