"""How long to wait before the next try."""

from __future__ import annotations

import random

_FIRST_S, _LONGEST_S = 0.05, 5.0


def pause_s(tries: int) -> float:
    """Seconds before the next try after ``tries`` failures: none at first, then doubling, with jitter."""
    if tries <= 0:
        return 0.0
    # Jitter: lines that failed together must not come back together.
    return min(_LONGEST_S, _FIRST_S * 2.0 ** min(tries, 10)) * random.uniform(0.8, 1.2)
