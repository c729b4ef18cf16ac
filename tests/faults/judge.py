"""The judge: compares what witnesses saw with what clients saw acknowledged, and believes nothing else.

It reads no mark, no log and no stream: those are what is being judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from zlib import crc32

from mesh.events import PARTITIONS
from tests.faults.load import Ledger

_UNKNOWN_AT_MOST = 14
"""Of one key: every subset of the requests nobody knows the outcome of is tried."""


@dataclass(frozen=True)
class Seen:
    """What one witness saw of one key."""

    count: int = 0
    total: int = 0
    sequences: tuple[int, ...] = ()


@dataclass
class Verdict:
    """What is wrong, in words."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """Of clients, and dead letters nobody expected."""
    acknowledged: int = 0
    unknown: int = 0
    """Requests whose outcome no client knows; each is in or out, everywhere alike."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.complaints)

    def __str__(self) -> str:
        counts = f"{self.acknowledged} acknowledged, {self.unknown} of unknown outcome"
        found = [
            f"{name}: {what}"
            for name in ("lost", "doubled", "disordered", "complaints")
            for what in getattr(self, name)
        ]
        return "\n  ".join([counts, *(found or ["nothing lost, nothing doubled, order kept"])])


def judge(
    ledger: Ledger,
    totals: Mapping[str, int],
    witnesses: Mapping[str, Mapping[str, Seen]],
    letters: Iterable[str] = (),
) -> Verdict:
    """Judges a campaign that has come to rest.

    `totals` are by key as the recording service answers them, `witnesses` by locality, then key; `letters` describes
    each dead letter that the test did not ask for.
    """
    verdict = Verdict(
        complaints=[*ledger.complaints, *(f"dead letter: {letter}" for letter in letters)],
        acknowledged=len(ledger.answered),
        unknown=len(ledger.asked) - len(ledger.answered),
    )
    for key in ledger.keys:
        _judge_answers(verdict, key, ledger)
        counts = _judge_total(verdict, key, ledger, totals.get(key, 0))
        for locality, seen in witnesses.items():
            _judge_witness(verdict, f"{key} in {locality}", seen.get(key, Seen()), totals.get(key, 0), counts)
    for locality, seen in witnesses.items():
        _judge_numbers(verdict, locality, seen)
    return verdict


def _judge_answers(verdict: Verdict, key: str, ledger: Ledger) -> None:
    """Each answer is a sum that holds its own amount and no part of the next one's."""
    for (total, _), (following, amount) in pairwise(ledger.answers(key)):
        if following - amount < total:
            verdict.doubled.append(
                f"{key}: two requests were answered as if the other had not been: {total}, {following}"
            )


def _judge_total(verdict: Verdict, key: str, ledger: Ledger, total: int) -> set[int]:
    """Returns how many requests may make up the total; whatever is acknowledged must be in it, once."""
    acknowledged = ledger.amounts(key, acknowledged=True)
    unknown = ledger.amounts(key, acknowledged=False)
    assert len(unknown) <= _UNKNOWN_AT_MOST, f"{key}: {len(unknown)} requests of unknown outcome are too many to judge"
    more = total - sum(acknowledged)
    counts = {
        len(acknowledged) + size
        for size in range(len(unknown) + 1)
        for chosen in combinations(unknown, size)
        if sum(chosen) == more
    }
    if not counts:
        wrong = verdict.lost if more < 0 else verdict.doubled
        wrong.append(
            f"{key}: {len(acknowledged)} acknowledged requests sum to {sum(acknowledged)}, the total is {total}"
        )
    return counts


def _judge_witness(verdict: Verdict, where: str, seen: Seen, total: int, counts: set[int]) -> None:
    if seen.total != total:
        wrong = verdict.lost if seen.total < total else verdict.doubled
        wrong.append(f"{where}: {seen.count} effects sum to {seen.total}, the total is {total}")
    elif counts and seen.count not in counts:
        wrong = verdict.lost if seen.count < min(counts) else verdict.doubled
        wrong.append(f"{where}: {seen.count} effects of {sorted(counts)} requests")
    if len(set(seen.sequences)) < len(seen.sequences):
        verdict.doubled.append(f"{where}: {_repeated(seen.sequences)} took effect more than once")
    if any(later < earlier for earlier, later in pairwise(seen.sequences)):
        verdict.disordered.append(f"{where}: {_step_back(seen.sequences)}")


def _judge_numbers(verdict: Verdict, locality: str, seen: Mapping[str, Seen]) -> None:
    """No number of a line is given to two events."""
    holder: dict[tuple[int, int], str] = {}
    for key, sighting in seen.items():
        partition = crc32(key.encode()) % PARTITIONS
        for sequence in set(sighting.sequences):
            other = holder.setdefault((partition, sequence), key)
            if other != key:
                verdict.doubled.append(
                    f"{locality}: {sequence} on partition {partition} is an event of {other} and of {key}"
                )


def _repeated(sequences: tuple[int, ...]) -> list[int]:
    return sorted({sequence for sequence in sequences if sequences.count(sequence) > 1})[:10]


def _step_back(sequences: tuple[int, ...]) -> str:
    return next(f"{later} after {earlier}" for earlier, later in pairwise(sequences) if later < earlier)
