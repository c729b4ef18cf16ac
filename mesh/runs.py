"""Runs of calls: handlers one after another, committed together, run again when what they read has changed."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mesh.call import Call, Done
from mesh.commit import Failed, Outcome, Stale
from mesh.errors import Aborted, AlreadyExists, MeshError
from mesh.foreign_errors import classify
from mesh.pool import blocking
from mesh.store import StagedInRun
from mesh.unit import Address, Raw, Run, Unit

if TYPE_CHECKING:
    from mesh.container import MeshContainer

_logger = logging.getLogger(__name__)

_TRIES = 8
"""How often a call whose views went stale is run again before the caller is told ABORTED."""
_PATIENCE = 3
"""Tries after which a stale call is run while new ones wait."""
_STALE = Stale(())


class Runs:
    """Runs the calls of one service."""

    def __init__(self, container: MeshContainer) -> None:
        self._container = container
        self._stale: list[tuple[Call, asyncio.Future[Any], int]] = []
        self._rerunning: asyncio.Task[None] | None = None
        self._first_tries = 0
        self._admitting = asyncio.Event()
        self._admitting.set()
        self._alone = asyncio.Event()

    async def perform(self, calls: Sequence[Call]) -> list[Any]:
        """Runs calls one after another as one run and commits them together.

        Returns, in order, what each answers: its response, or the `MeshError` it failed with. A call that fails
        stages nothing and fails no other. Calls whose views went stale are gathered with those of other runs
        and run again one behind the other, so many writers of one document need few commits.
        """
        if not self._admitting.is_set():
            await self._admitting.wait()
        self._first_tries += 1
        try:
            answers = await self._once(list(calls), first=True)
        finally:
            self._first_tries -= 1
            if not self._first_tries:
                self._alone.set()
        stale = [index for index, answer in enumerate(answers) if answer is _STALE]
        if not stale:
            return answers
        again = await asyncio.gather(*(self._until_fresh(calls[index]) for index in stale))
        for index, answer in zip(stale, again, strict=True):
            answers[index] = answer
        return answers

    async def drain(self) -> None:
        """Returns when no call waits to be run again."""
        if self._rerunning is not None:
            await self._rerunning

    async def _until_fresh(self, call: Call) -> Any:
        for tried in range(1, _TRIES + 1):
            if call.deadline is not None and call.deadline < time.monotonic():
                break
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._stale.append((call, future, tried))
            if self._rerunning is None or self._rerunning.done():
                self._rerunning = asyncio.create_task(self._rerun())
            answer = await future
            if answer is not _STALE:
                return answer
        return Aborted("lost against concurrent changes; try again")

    async def _rerun(self) -> None:
        while self._stale:
            if max(tried for _, _, tried in self._stale) >= _PATIENCE:
                await self._be_alone()
            # A caller whose deadline came waits no longer; what it asked for is not done behind its back.
            batch, self._stale = [waiting for waiting in self._stale if not waiting[1].done()], []
            try:
                answers = await self._once([call for call, _, _ in batch], first=False)
            except Exception as error:
                _logger.exception("a run could not be run again")
                answers = [classify(error)] * len(batch)
            finally:
                self._admitting.set()
            for (_, future, _), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _be_alone(self) -> None:
        """Holds new calls back until those under way are done, so that what has lost too often wins now."""
        self._admitting.clear()
        while self._first_tries:
            self._alone.clear()
            await self._alone.wait()

    async def _once(self, calls: list[Call], *, first: bool) -> list[Any]:
        """Runs and commits once; answers `_STALE` for calls to be run again."""
        quiet = first and self._first_tries == 1
        pool, context = self._container.host.pool, contextvars.copy_context()
        ran: tuple[list[Any], dict[int, Done], Run | None, Outcome | None]
        ran = await pool.run(self._run_and_commit, calls, not first, context if quiet else None)
        answers, done, run, outcome = ran
        if run is None:
            return answers
        if outcome is None:
            outcome = await self._container.commit(run)
        if isinstance(outcome, Failed | Stale):
            failed = outcome.error if isinstance(outcome, Failed) else _STALE
            return [failed if index in done else answer for index, answer in enumerate(answers)]
        return answers

    def _run_and_commit(
        self, calls: list[Call], read_records: bool, context: contextvars.Context | None
    ) -> tuple[list[Any], dict[int, Done], Run | None, Outcome | None]:
        """Blocking: runs calls; commits what they came to, in a context, where nothing else is being committed."""
        answers, done = self._run_all(calls, read_records)
        units = [item.unit for item in done.values() if item.unit.to_commit]
        if not units:
            return answers, done, None, None
        deadlines = [call.deadline for call in calls if call.deadline is not None]
        run = Run(units, min(deadlines, default=None))
        outcome = None if context is None else context.run(self._container.commit_if_quiet, run)
        return answers, done, run, outcome

    def _run_all(self, calls: list[Call], read_records: bool) -> tuple[list[Any], dict[int, Done]]:
        """Blocking: runs calls in order, each reading through what those before it staged."""
        beneath: dict[Address, Raw | None] = {}
        answers: list[Any] = []
        done: dict[int, Done] = {}
        for index, call in enumerate(calls):
            try:
                item = self._run_recorded(call, beneath, read_records)
            except StagedInRun:
                # It queries what is only staged: it and all after it run again once that is committed.
                return answers + [_STALE] * (len(calls) - index), done
            except MeshError as error:
                answers.append(self._said_before(call) or error)
            else:
                beneath.update(item.unit.staged)
                done[index] = item
                answers.append(item.result)
        return answers, done

    def _run_recorded(self, call: Call, beneath: dict[Address, Raw | None], read_record: bool) -> Done:
        """Runs a call with its request record.

        The first try takes it that the request is new: the commit checks that, in the round trip it makes
        anyway. A repeated request is therefore found stale, comes here again and is answered from the record;
        or it is refused, and then its record is looked for.
        """
        if not call.request_id:
            return self._container.run_sealed(call, beneath)
        address = call.record_address()
        record = beneath.get(address)
        if record is None and read_record:
            blocking()
            record = self._container.database[address[0]].find_one({"_id": address[1]})
        if record is not None:
            return Done(_recorded(call, record), Unit(), {})
        item = self._container.run_sealed(call, beneath)
        answer = {
            "digest": call.digest(),
            "answer": item.result.SerializeToString(),
            "at": self._container.host.time.now(),
        }
        item.unit.stage(address, {"_id": address[1], **answer})
        return item

    def _said_before(self, call: Call) -> Any:
        """The first answer to a request that is now refused, where there is one: it may be refused for what it did."""
        if not call.request_id:
            return None
        collection, id = call.record_address()
        blocking()
        record = self._container.database[collection].find_one({"_id": id})
        try:
            return record and _recorded(call, record)
        except AlreadyExists as other:
            return other


def _recorded(call: Call, record: Raw) -> Any:
    """The first answer to a repeated request. Raises `AlreadyExists` when its content differs."""
    if record["digest"] != call.digest():
        raise AlreadyExists("request_id", call.request_id)
    return call.entrypoint.answer_type.FromString(record["answer"])
