"""Registering water stations, and the ones everybody knows."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from lienthong.environment.v1 import GetWaterStationRequest, ListWaterStationsRequest
from mesh import localities
from mesh.errors import AlreadyExists, InvalidArgument, NotFound
from services.environment.settings import EnvironmentSettings
from tests.unit.environment.city import City, new_city
from tests.unit.environment.river import STATION, River, new_river

ROWS = list(
    csv.DictReader(files("services.environment").joinpath("flood_stations.csv").read_text("utf-8").splitlines())
)


def known_in(locality: str) -> list[str]:
    city = new_city()
    city.service.here = locality
    city.service.register_known_water_stations()
    return [station.id for station in stations_of(city)]


def stations_of(city: City):
    return city.service.list_water_stations(ListWaterStationsRequest()).stations


def broken(refused: pytest.ExceptionInfo[InvalidArgument]) -> dict[str, str]:
    return {violation.field: violation.rule for violation in refused.value.violations}


def test_a_station_is_what_was_registered_last(river: River):
    river.register(name="Ái Nghĩa, cầu")

    station = river.service.get_water_station(GetWaterStationRequest(station_id=STATION)).station

    assert (station.name, station.river, station.level_ii_m) == ("Ái Nghĩa, cầu", "Vu Gia", 8.0)


def test_defaults_are_filled_in(river: River):
    station = river.register()

    assert (station.hysteresis_m, station.plausible_rate_m_per_h, station.reach_m) == (0.2, 2.0, 5000)


def test_what_is_given_stands(river: River):
    station = river.register(hysteresis_m=0.1, plausible_rate_m_per_h=0.5, reach_m=800, levels_source="a decision")

    assert (station.hysteresis_m, station.plausible_rate_m_per_h, station.reach_m) == (0.1, 0.5, 800)
    assert station.levels_source == "a decision"


def test_the_default_hysteresis_is_at_most_half_of_the_smallest_distance_between_levels():
    """Phú An, a tidal gauge whose levels lie ten centimetres apart."""
    station = new_river().register(level_i_m=1.4, level_ii_m=1.5, level_iii_m=1.6)

    assert station.hysteresis_m == 0.05


def test_defaults_are_those_of_the_service():
    river = River(new_city(EnvironmentSettings(flood_hysteresis_m=0.3, plausible_rate_m_per_h=1, flood_reach_m=2000)))

    station = river.register()

    assert (station.hysteresis_m, station.plausible_rate_m_per_h, station.reach_m) == (0.3, 1, 2000)


def test_levels_that_do_not_ascend_are_refused(river: River):
    with pytest.raises(InvalidArgument) as refused:
        river.register(level_i_m=8.0, level_ii_m=8.0, level_iii_m=7.0)

    assert broken(refused) == {"station.level_ii_m": "ascending", "station.level_iii_m": "ascending"}


def test_a_hysteresis_that_reaches_from_one_level_to_the_next_is_refused(river: River):
    with pytest.raises(InvalidArgument) as refused:
        river.register(hysteresis_m=1.0)

    assert broken(refused) == {"station.hysteresis_m": "hysteresis"}


def test_an_id_is_of_one_station_be_it_of_air_or_water(river: River):
    river.city.register("hang-dau")

    with pytest.raises(AlreadyExists):
        river.register("hang-dau")
    with pytest.raises(AlreadyExists):
        river.city.register(STATION)


def test_an_unregistered_station_is_not_found(river: River):
    with pytest.raises(NotFound):
        river.service.get_water_station(GetWaterStationRequest(station_id="nowhere"))


def test_stations_come_by_id_and_page(river: River):
    for name in "cb":
        river.register(name)

    first = river.service.list_water_stations(ListWaterStationsRequest(page_size=2))
    second = river.service.list_water_stations(ListWaterStationsRequest(page_size=2, page_token=first.next_page_token))

    assert [station.id for station in (*first.stations, *second.stations)] == [STATION, "b", "c"]
    assert second.next_page_token == ""


def test_the_known_stations_of_the_locality_are_registered_by_themselves():
    assert known_in("da-nang") == ["ai-nghia", "cam-le", "cau-lau", "giao-thuy"]
    assert known_in("ho-chi-minh") == ["phu-an"]
    assert known_in("ca-mau") == []


def test_a_station_somebody_registered_is_left_alone(river: River):
    river.register(level_i_m=6.0)
    river.city.register("cam-le")

    river.service.register_known_water_stations()

    levels = {station.id: station.level_i_m for station in stations_of(river.city)}
    assert levels == {"ai-nghia": 6.0, "cau-lau": 2.0, "giao-thuy": 6.2}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_every_known_station_is_one_that_could_be_registered(row: dict[str, str]):
    river = new_river()
    localities.of_slug(row["locality"])
    levels = {name: float(row[name]) for name in ("level_i_m", "level_ii_m", "level_iii_m")}

    assert river.register(row["id"], **levels).hysteresis_m in (0.2, 0.05)
    assert row["levels_source"]
    assert row["coordinates_source"]


def test_twelve_stations_are_known():
    assert len({row["id"] for row in ROWS}) == len(ROWS) == 12
