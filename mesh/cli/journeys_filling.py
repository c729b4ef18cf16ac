"""What a journey leaves open until it is walked: names in braces, and times told from now.

`{run}` is another text in each run, so that the same journey can be walked again; others were kept from answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

RUN: Final = "run"

_NAME: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_TIME: Final = re.compile(r"now(?:([+-])((?:\d+[dhms])+))?")
_PART: Final = re.compile(r"(\d+)([dhms])")
_SECONDS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def filled(value: Any, names: Mapping[str, str], now: datetime) -> Any:
    """The value with every name in it replaced, and `now-1h30m` become a time; lists and mappings all the way down.

    Raises KeyError for a name that is not known.
    """
    if isinstance(value, dict):
        return {key: filled(inner, names, now) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, names, now) for inner in value]
    if not isinstance(value, str):
        return value
    if time := _TIME.fullmatch(value):
        return (now + _distance(time[1], time[2])).isoformat()
    return _NAME.sub(lambda found: names[found[1]], value)


def _distance(sign: str | None, parts: str | None) -> timedelta:
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(parts or ""))
    return timedelta(seconds=-seconds if sign == "-" else seconds)
