"""Makes `week.csv.gz`: a week of readings in four localities, with an inversion. Invented, and the same each time.

From Wednesday evening a lid of warm air lies over Hà Nội for two days; dust spills to Quảng Ninh half a day later.
At the weekend Đà Nẵng and Huế have a shorter one. As real feeds do, this one repeats rows, sends some late, and says
things that cannot be. Columns are those that `lienthong replay` reads. Run: `python examples/week.py`.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
FILE: Final = HERE / "week.csv.gz"
COLUMNS: Final = (
    *("observed_at", "province_code", "ward_code", "station_id", "station_name", "latitude", "longitude"),
    *("pm25", "pm10", "o3", "no2", "so2", "co", "temperature", "humidity"),
)
START: Final = datetime(2026, 11, 8, 17, tzinfo=UTC)  # Monday 00:00 in Việt Nam
EVERY: Final = timedelta(minutes=10)
DAYS: Final = 7
PPB_PER_UG_M3_OF_CO: Final = 1 / 1.145

Row = dict[str, str]


class Episode(NamedTuple):
    """Stagnant air: hours from the start of the week, and PM2.5 added at its height."""

    begins: float
    full: float
    fades: float
    over: float
    pm25_ug_m3: float

    def at(self, hour: float) -> float:
        """Share of the episode's strength, 0 to 1."""
        rising = _smooth((hour - self.begins) / (self.full - self.begins))
        return rising * (1 - _smooth((hour - self.fades) / (self.over - self.fades)))


EPISODES: Final = {
    "01": Episode(66, 76, 112, 118, 105),
    "22": Episode(78, 90, 116, 124, 62),
    "48": Episode(134, 140, 148, 153, 50),
    "46": Episode(137, 143, 150, 155, 45),
}


def rows() -> Iterator[Row]:
    """The week as it arrives."""
    random = Random("lienthong")
    stations = list(csv.DictReader((HERE / "week_stations.csv").read_text("utf-8").splitlines()))
    late: list[tuple[int, Row]] = []
    weather = dict.fromkeys((station["station_id"] for station in stations), 0.0)
    for tick in range(DAYS * 144):
        for _, row in [entry for entry in late if entry[0] == tick]:
            yield row
        for number, station in enumerate(stations):
            weather[station["station_id"]] = 0.97 * weather[station["station_id"]] + random.gauss(0, 0.02)
            row = _reading(station, START + tick * EVERY + timedelta(seconds=7 * number), weather, random)
            for dirty, delay in _as_feeds_are(row, random):
                if delay:
                    late.append((tick + delay, dirty))
                else:
                    yield dirty


def _reading(station: Row, at: datetime, weather: dict[str, float], random: Random) -> Row:
    hour = (at - START) / timedelta(hours=1)
    episode = EPISODES[station["province_code"]]
    rush = 0.5 + 0.3 * _bump(hour, 7.5) + 0.35 * _bump(hour, 19)
    sun = max(0.0, math.sin((hour % 24 - 6) / 12 * math.pi))
    lid = episode.at(hour) * episode.pm25_ug_m3 * (1.1 - 0.2 * sun)
    pm25 = float(station["dust"]) * math.exp(weather[station["station_id"]]) * (26 * rush + lid)
    measured = {"pm25": pm25 + random.gauss(0, 0.8), "pm10": 1.5 * pm25 + 6 + random.gauss(0, 2)}
    if station["gases"] != "none":
        measured |= _gases(pm25, rush, sun, random, in_ppb=station["gases"] == "ppb" and 24 <= hour < 72)
    measured |= {"temperature": 21 + 6 * sun + random.gauss(0, 0.3), "humidity": 84 - 20 * sun + random.gauss(0, 1)}
    said = {name: f"{max(0.1, value):.1f}" for name, value in measured.items()}
    place = {name: station[name] for name in COLUMNS if name in station}
    return dict.fromkeys(COLUMNS, "") | place | said | {"observed_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}


def _gases(pm25: float, rush: float, sun: float, random: Random, *, in_ppb: bool) -> dict[str, float]:
    """Gases of traffic and sun. One maker's firmware gave CO in tenths of ppm for two days: its scale is off."""
    co = 180 + 260 * rush + 5 * pm25 + random.gauss(0, 12)
    return {
        "o3": 18 + 75 * sun + random.gauss(0, 2),
        "no2": 14 + 40 * rush + random.gauss(0, 2),
        "so2": 8 + 0.12 * pm25 + random.gauss(0, 0.8),
        "co": co * PPB_PER_UG_M3_OF_CO / 100 if in_ppb else co,
    }


def _as_feeds_are(row: Row, random: Random) -> Iterator[tuple[Row, int]]:
    """The row as it comes, and how many readings late."""
    chance = random.random()
    if chance < 0.004:
        yield row, random.randint(8, 20)
    elif chance < 0.005:
        yield row | {"pm25": random.choice(("-1.0", "9999.0"))}, 0
    elif chance < 0.006:
        yield row | {"pm25": f"{float(row['pm25']) + 400:.1f}"}, 0
    elif chance < 0.008:
        yield row | {"pm25": "", "pm10": ""}, 0
    elif chance < 0.0085:
        yield row | {"humidity": "140.0"}, 0
    elif chance < 0.010:
        return
    else:
        yield row, 0
        if chance > 0.997:
            yield row, 0
        elif chance > 0.993:
            again = datetime.fromisoformat(row["observed_at"]) + timedelta(seconds=2)
            yield row | {"observed_at": f"{again:%Y-%m-%dT%H:%M:%SZ}"}, 0


def _smooth(x: float) -> float:
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)


def _bump(hour: float, at: float) -> float:
    away = (hour - at + 12) % 24 - 12
    return math.exp(-((away / 2.2) ** 2))


def write() -> int:
    """Writes the file, with no time of writing in it; returns how many rows."""
    text = io.StringIO(newline="")
    out = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    out.writeheader()
    found = list(rows())
    out.writerows(found)
    FILE.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return len(found)


if __name__ == "__main__":
    print(f"{write()} rows in {FILE}")
