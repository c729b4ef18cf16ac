"""What a process knows of its service's database, as long as no other process commits (ADR-0026).

Every commit advances the counter, and whatever has a revision is written by commits alone. So while the counter is as
this process left it, a document is as this process last saw or wrote it in a commit, and need not be looked at again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from mesh.counter import Counter
from mesh.unit import ABSENT, Address, Raw

_MOST: Final = 2000


class Known:
    """The counter, and revisions of documents that were read, changed or deleted here last."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self._revisions: OrderedDict[Address, int] = OrderedDict()

    def holds(self, address: Address, seen: int) -> bool:
        """Whether a document is known to be as it was seen; where not, it may be all the same."""
        return self._revisions.get(address) == seen

    def committed(self, seen: Mapping[Address, int], staged: Mapping[Address, Raw | None], number: int) -> None:
        """Takes over what a commit has checked and written. What it created is of no interest until it is changed."""
        for address, revision in seen.items():
            if address not in staged:
                self._learn(address, revision)
            elif revision != ABSENT or address in self._revisions:
                self._learn(address, ABSENT if staged[address] is None else number)

    def _learn(self, address: Address, revision: int) -> None:
        self._revisions[address] = revision
        self._revisions.move_to_end(address)
        if len(self._revisions) > _MOST:
            self._revisions.popitem(last=False)
