"""What a replay must come to, computed from the CSV alone.

Written from the rules in services/environment/README.md and from Decision 1459/QĐ-TCMT; it imports nothing of
Lienthong, so an error there is not repeated here. Only the limits of the quality flags are read from the product, as
data.

    python tests/journeys/expectation.py readings.csv.gz --alert-index 50

It knows no late readings, which depend on how rows are grouped into calls: a file whose rows go back in time is
refused. Nor does it know the clock, which closes nothing and lifts nothing while a replay is on its way.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

LIMITS = Path(__file__).parents[2] / "services" / "environment" / "reading_quality.csv"

PROVINCES = {"48": "da-nang", "46": "hue", "01": "ha-noi", "22": "quang-ninh"}
SHARES_ALERTS_WITH = {"da-nang": "hue", "hue": "da-nang", "ha-noi": "quang-ninh", "quang-ninh": "ha-noi"}

POLLUTANTS = ("pm25", "pm10", "o3", "no2", "so2", "co")
HOUR = timedelta(hours=1)
MICRO = 1_000_000

# Decision 1459/QĐ-TCMT, table 2: concentrations in µg/m³ at these indexes; O3 as an hourly mean.
INDEXES = (0, 50, 100, 150, 200, 300, 400, 500)
CONCENTRATIONS = {
    "pm25": (0, 25, 50, 80, 150, 250, 350, 500),
    "pm10": (0, 50, 150, 250, 350, 420, 500, 600),
    "o3": (0, 160, 200, 300, 400, 800, 1_000, 1_200),
    "no2": (0, 100, 200, 700, 1_200, 2_350, 3_100, 3_850),
    "so2": (0, 125, 350, 550, 800, 1_600, 2_100, 2_630),
    "co": (0, 10_000, 30_000, 45_000, 60_000, 90_000, 120_000, 150_000),
}
BAND_TOPS = (50, 100, 150, 200, 300, 500)


@dataclass
class Expected:
    """What one locality must have at the end."""

    rows: int = 0
    accepted: int = 0
    duplicate: int = 0
    flagged: int = 0
    rejected: int = 0
    rejected_by_rule: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    hours: dict[str, dict[str, int | None]] = field(default_factory=lambda: defaultdict(dict))
    """Per station: start of the hour and its index."""
    raised: Counter[str] = field(default_factory=Counter)
    """`AirQualityAlertRaised` per station."""
    lifted: Counter[str] = field(default_factory=Counter)
    """`AirQualityAlertLifted` per station."""
    advisories: int = 0
    """Advisories that exist: one per origin and station that ever had an alert."""
    issued: int = 0
    """`HealthAdvisoryIssued`."""
    withdrawn: int = 0
    """`HealthAdvisoryWithdrawn`."""


@dataclass
class Station:
    """What is known of one station while its rows are read."""

    seen: set[datetime] = field(default_factory=set)
    last_at: datetime | None = None
    distinct_at: datetime | None = None
    """Of the latest accepted reading that is no repetition."""
    sound_at: datetime | None = None
    sound: dict[str, int] = field(default_factory=dict)
    """Values in 10⁻⁶ µg/m³ of the latest reading that may be compared with."""
    values: dict[datetime, dict[str, list[int]]] = field(default_factory=dict)
    """Per hour, what enters its means."""


def expect(file: Path, alert_index: int, limits: Path = LIMITS) -> dict[str, Expected]:
    """Returns what each locality of `PROVINCES` must have after `file` was replayed to its end and all hours closed."""
    expected = {slug: Expected() for slug in PROVINCES.values()}
    stations: dict[tuple[str, str], Station] = defaultdict(Station)
    thresholds = read_limits(limits)

    for row in read_rows(file):
        slug = PROVINCES.get(row["province_code"])
        if slug is not None:
            id = station_id(row["station_id"])
            take(row, id, stations[slug, id], expected[slug], thresholds)

    for (slug, id), station in stations.items():
        indexes = hourly_indexes(station)
        here = expected[slug]
        here.hours[id] = {hour.strftime("%Y-%m-%dT%H:%M:%SZ"): index for hour, index in indexes.items()}
        raised, lifted = alerts(indexes, alert_index)
        here.raised[id] += raised
        here.lifted[id] += lifted
        for reader in (here, expected[SHARES_ALERTS_WITH[slug]]):
            reader.advisories += raised > 0
            reader.issued += raised
            reader.withdrawn += lifted
    return expected


def read_rows(file: Path) -> Iterator[dict[str, str]]:
    """Yields the rows of a CSV, gzipped or not."""
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def read_limits(file: Path) -> dict[tuple[str, str], int]:
    """Returns limits by flag and pollutant, in 10⁻⁶ µg/m³; those in seconds under the pollutant ``""``, in seconds."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        (row["flag"], row["pollutant"]): micro(float(row["value"])) if row["pollutant"] else int(row["value"])
        for row in rows
    }


def station_id(given: str) -> str:
    """Returns the id under which replay registers a station: at most 64 characters."""
    return given if len(given) <= 64 else f"{given[:51]}-{hashlib.sha256(given.encode()).hexdigest()[:12]}"


def micro(value: float) -> int:
    """Returns 10⁻⁶ µg/m³, ties to even."""
    return round(value * MICRO)


# Rows


def take(
    row: dict[str, str], id: str, station: Station, expected: Expected, limits: dict[tuple[str, str], int]
) -> None:
    """Counts one row, and keeps its values for the means."""
    expected.rows += 1
    rule = broken_rule(row, id)
    if rule is not None:
        expected.rejected += 1
        expected.rejected_by_rule[rule] += 1
        return
    at = datetime.fromisoformat(row["observed_at"]).astimezone(UTC)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    if at in station.seen:
        expected.duplicate += 1
        return
    if station.last_at is not None and at < station.last_at:
        raise ValueError(f"{id}: a reading of {at} after one of {station.last_at}; late readings are not modelled here")
    station.seen.add(at)
    station.last_at = at

    values = {name: float(row[name]) for name in POLLUTANTS if row[name] != ""}
    flags, kept = judge(values, at, station, limits)
    expected.accepted += 1
    expected.flagged += bool(flags)
    expected.flags.update(flags)
    hour = station.values.setdefault(at.replace(minute=0, second=0, microsecond=0), defaultdict(list))
    for name, value in kept.items():
        hour[name].append(value)


def broken_rule(row: dict[str, str], id: str) -> str | None:
    """Returns the rule of the contract that a row breaks."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id):
        return "pattern" if id else "required"
    for name, low, high in (("temperature", -90, 70), ("humidity", 0, 100)):
        if row[name] != "" and not low <= float(row[name]):
            return "gte"
        if row[name] != "" and not float(row[name]) <= high:
            return "lte"
    return None


def judge(
    values: dict[str, float], at: datetime, station: Station, limits: dict[tuple[str, str], int]
) -> tuple[set[str], dict[str, int]]:
    """Returns the flags of a reading and the values that enter the means; remembers it for those that follow."""
    flags = set()
    if station.distinct_at is not None and (at - station.distinct_at).total_seconds() < limits["REPEAT", ""]:
        flags.add("REPEAT")
    else:
        station.distinct_at = at

    sound = {}
    for name, value in values.items():
        if not math.isfinite(value) or value < 0 or micro(value) > limits["RANGE", name]:
            flags.add("RANGE")
        elif 0 < micro(value) < limits.get(("UNIT_SCALE", name), 0):
            flags.add("UNIT_SCALE")
        else:
            sound[name] = micro(value)

    comparable = station.sound_at is not None and (at - station.sound_at).total_seconds() <= limits["JUMP", ""]
    both = sound.keys() & station.sound.keys() if comparable else set()
    if any(abs(sound[name] - station.sound[name]) > limits["JUMP", name] for name in both):
        flags.add("JUMP")

    if flags <= {"UNIT_SCALE"}:
        station.sound_at, station.sound = at, sound
        return flags, sound
    return flags, {}


# Index


def hourly_indexes(station: Station) -> dict[datetime, int | None]:
    """Returns the index of every hour that has a reading, in order of time."""
    means = {
        hour: {name: (2 * sum(given) + len(given)) // (2 * len(given)) for name, given in values.items()}
        for hour, values in station.values.items()
    }
    return {hour: hourly_index(hour, means) for hour in sorted(means)}


def hourly_index(hour: datetime, means: dict[datetime, dict[str, int]]) -> int | None:
    """Returns VN_AQI of one hour; None without particles."""
    concentrations: dict[str, Fraction] = {}
    for name in ("pm25", "pm10"):
        average = nowcast([means.get(hour - back * HOUR, {}).get(name) for back in range(12)])
        if average is not None:
            concentrations[name] = average
    if not concentrations:
        return None
    concentrations |= {name: Fraction(means[hour][name]) for name in ("o3", "no2", "so2", "co") if name in means[hour]}
    return max(sub_index(name, value) for name, value in concentrations.items())


def nowcast(newest_first: list[int | None]) -> Fraction | None:
    """Returns NowCast of twelve hourly means; None where two of the newest three are missing."""
    if sum(mean is not None for mean in newest_first[:3]) < 2:
        return None
    present = [(number, mean) for number, mean in enumerate(newest_first, 1) if mean is not None]
    lowest, highest = min(mean for _, mean in present), max(mean for _, mean in present)
    if highest == 0:
        return Fraction(0)
    weight = Fraction(lowest, highest)
    half = Fraction(1, 2)
    if weight > half:
        return weighted_mean([(weight ** (number - 1), mean) for number, mean in present])
    if len(present) < len(newest_first):
        return weighted_mean([(half**number, mean) for number, mean in present])
    return sum((half**number * mean for number, mean in present), Fraction(0))  # as printed: the weights are no whole


def weighted_mean(weighted: list[tuple[Fraction, int]]) -> Fraction:
    """Returns the mean of values that come with their weights."""
    total = sum((weight * value for weight, value in weighted), Fraction(0))
    return total / sum((weight for weight, _ in weighted), Fraction(0))


def sub_index(pollutant: str, concentration: Fraction) -> int:
    """Returns the index of one pollutant; concentration in 10⁻⁶ µg/m³."""
    points = list(zip((top * MICRO for top in CONCENTRATIONS[pollutant]), INDEXES, strict=True))
    for (low, low_index), (high, high_index) in pairwise(points):
        if concentration < high:
            exact = Fraction(high_index - low_index, high - low) * (concentration - low) + low_index
            return math.floor(exact + Fraction(1, 2))
    return INDEXES[-1]


def band(index: int) -> int:
    """Returns 1 (good) to 6 (hazardous)."""
    return next(number for number, top in enumerate(BAND_TOPS, 1) if index <= top)


# Alerts


def alerts(indexes: dict[datetime, int | None], level: int) -> tuple[int, int]:
    """Returns how often the alert of one station is raised and lifted."""
    raised = lifted = 0
    highest: int | None = None
    """Highest band published; None while there is no alert."""
    before: int | None = None
    before_end: datetime | None = None
    for hour, index in indexes.items():
        decided = hour if index is not None else hour + HOUR
        if highest is not None and before_end is not None and decided - before_end >= 6 * HOUR:
            lifted += 1
            highest = None
        if index is None:
            continue
        if highest is None:
            if index > level:
                raised += 1
                highest = band(index)
        elif band(index) > highest:
            raised += 1
            highest = band(index)
        elif index <= level and before is not None and before <= level:
            lifted += 1
            highest = None
        before, before_end = index, hour + HOUR
    return raised, lifted


def as_json(expected: Expected, *, with_hours: bool) -> dict[str, object]:
    """Returns plain numbers; stations without alerts are left out."""
    hours = expected.hours
    return {
        **{name: value for name, value in vars(expected).items() if isinstance(value, int)},
        "rejected_by_rule": dict(sorted(expected.rejected_by_rule.items())),
        "flags": dict(sorted(expected.flags.items())),
        "hours": {id: hours[id] if with_hours else len(hours[id]) for id in sorted(hours)},
        "raised": {id: count for id, count in sorted(expected.raised.items()) if count},
        "lifted": {id: count for id, count in sorted(expected.lifted.items()) if count},
    }


def main() -> None:
    """Prints the expectation as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--alert-index", type=int, default=100)
    parser.add_argument("--summary", action="store_true", help="count the hours instead of listing them")
    given = parser.parse_args()
    expected = expect(given.file, given.alert_index)
    found = {slug: as_json(one, with_hours=not given.summary) for slug, one in expected.items()}
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
