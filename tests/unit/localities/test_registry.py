"""The registry of localities, in both of its times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from nameko.testing.services import worker_factory

from lienthong.localities import v1
from mesh import localities
from mesh.errors import InvalidArgument, NotFound
from mesh.testing import ManualClock
from services.localities import registry
from services.localities.service import LocalitiesService

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MOMENTS = st.integers(0, 7800).map(lambda days: datetime(2008, 8, 2, tzinfo=UTC) + timedelta(days=days))


def at(year: int, month: int = 1, day: int = 1) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(datetime(year, month, day, 12, tzinfo=UTC))
    return timestamp


@pytest.fixture
def service() -> LocalitiesService:
    made: LocalitiesService = worker_factory(LocalitiesService, clock=ManualClock(NOW))
    return made


# --- the data -------------------------------------------------------------------------------------------------


@given(valid_at=MOMENTS, known_at=MOMENTS)
def test_a_code_names_at_most_one_unit_at_a_moment_as_known_at_a_moment(valid_at: datetime, known_at: datetime) -> None:
    codes = [version.code for version in registry.as_of(valid_at, known_at)]

    assert len(codes) == len(set(codes))


@given(valid_at=MOMENTS)
def test_what_is_known_today_leaves_no_gap(valid_at: datetime) -> None:
    """63 units until the merger, 34 since."""
    assert len(registry.as_of(valid_at, NOW)) == (63 if valid_at < registry.MERGED else 34)


def test_every_version_ends_after_it_begins_and_names_its_source() -> None:
    for version in registry._versions():
        assert version.valid_until is None or version.valid_from < version.valid_until
        assert version.replaced_at is None or version.recorded_at < version.replaced_at
        assert version.source
        assert version.type in ("city", "province")


def test_the_registry_and_the_runtime_know_the_same_localities() -> None:
    of_registry = {(v.code, v.slug, v.name, v.type, v.communes) for v in registry.as_of(NOW, NOW)}

    assert of_registry == {(one.code, one.slug, one.name, one.type, one.wards) for one in localities.localities()}


# --- codes ----------------------------------------------------------------------------------------------------


def test_binh_duong_has_become_ho_chi_minh(service: LocalitiesService) -> None:
    answer = service.resolve_code(v1.ResolveCodeRequest(code="74"))

    assert (answer.locality.code, answer.locality.name) == ("79", "Hồ Chí Minh")
    assert (answer.former_unit.code, answer.former_unit.name) == ("74", "Bình Dương")


@pytest.mark.parametrize(
    ("code", "former", "today"),
    [
        ("24", "Bắc Giang", "Bắc Ninh"),
        ("44", "Quảng Bình", "Quảng Trị"),
        ("80", "Long An", "Tây Ninh"),
        ("82", "Tiền Giang", "Đồng Tháp"),
        ("91", "Kiên Giang", "An Giang"),
    ],
)
def test_a_code_can_survive_under_another_name(service: LocalitiesService, code: str, former: str, today: str) -> None:
    used_then = service.resolve_code(v1.ResolveCodeRequest(code=code, used_at=at(2024)))
    used_now = service.resolve_code(v1.ResolveCodeRequest(code=code, used_at=at(2026)))

    assert (used_then.former_unit.name, used_then.locality.name) == (former, today)
    assert (used_now.HasField("former_unit"), used_now.locality.name) == (False, today)


@pytest.mark.parametrize("code", sorted(registry._former_units()))
def test_every_former_unit_resolves_forward_as_the_runtime_does(service: LocalitiesService, code: str) -> None:
    answer = service.resolve_code(v1.ResolveCodeRequest(code=code, used_at=at(2020)))

    assert answer.locality.slug == localities.of_legacy_code(code).slug
    assert code in [unit.code for unit in answer.locality.extent.former_units]


def test_a_former_code_names_nothing_when_used_after_the_merger(service: LocalitiesService) -> None:
    with pytest.raises(NotFound):
        service.resolve_code(v1.ResolveCodeRequest(code="74", used_at=at(2026)))


def test_a_code_nothing_ever_had_is_not_found(service: LocalitiesService) -> None:
    with pytest.raises(NotFound):
        service.resolve_code(v1.ResolveCodeRequest(code="99"))


# --- as of a moment -------------------------------------------------------------------------------------------


def test_a_locality_is_as_it_was_then(service: LocalitiesService) -> None:
    province = service.get_locality(v1.GetLocalityRequest(slug="dong-nai", valid_at=at(2026, 3))).locality
    city = service.get_locality(v1.GetLocalityRequest(slug="dong-nai")).locality

    assert (province.type, city.type) == (v1.LOCALITY_TYPE_PROVINCE, v1.LOCALITY_TYPE_CITY)
    assert province.valid_until == city.valid_from
    assert city.valid_from.ToDatetime(UTC) == datetime(2026, 4, 29, 17, tzinfo=UTC)


def test_a_locality_is_as_it_was_known_then(service: LocalitiesService) -> None:
    """In March nobody knew that it would be a city in May."""
    request = v1.GetLocalityRequest(code="75", valid_at=at(2026, 5), known_at=at(2026, 3))

    locality = service.get_locality(request).locality

    assert locality.type == v1.LOCALITY_TYPE_PROVINCE
    assert not locality.HasField("valid_until")
    assert locality.replaced_at.ToDatetime(UTC) == datetime(2026, 4, 29, 17, tzinfo=UTC)


def test_a_former_unit_is_found_by_code_for_its_time(service: LocalitiesService) -> None:
    locality = service.get_locality(v1.GetLocalityRequest(code="74", valid_at=at(2020))).locality

    assert (locality.name, locality.slug) == ("Bình Dương", "")
    with pytest.raises(NotFound):
        service.get_locality(v1.GetLocalityRequest(code="74"))


def test_code_and_slug_exclude_each_other(service: LocalitiesService) -> None:
    for request in (v1.GetLocalityRequest(), v1.GetLocalityRequest(code="48", slug="da-nang")):
        with pytest.raises(InvalidArgument, match="code"):
            service.get_locality(request)


def test_all_versions_of_a_code_are_listed(service: LocalitiesService) -> None:
    versions = service.list_locality_versions(v1.ListLocalityVersionsRequest(code="46")).versions

    assert [(version.name, version.HasField("replaced_at")) for version in versions] == [
        ("Thừa Thiên Huế", True),
        ("Thừa Thiên Huế", False),
        ("Huế", True),
        ("Huế", False),
        ("Huế", False),
    ]


def test_a_list_comes_in_pages(service: LocalitiesService) -> None:
    names: list[str] = []
    request = v1.ListLocalitiesRequest(type=v1.LOCALITY_TYPE_CITY, page_size=3)
    while True:
        answer = service.list_localities(request)
        names += [locality.slug for locality in answer.localities]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token

    cities = [one.slug for one in localities.localities() if one.type == "city"]
    assert names == cities


def test_a_foreign_page_token_is_refused(service: LocalitiesService) -> None:
    with pytest.raises(InvalidArgument, match="page_token"):
        service.list_localities(v1.ListLocalitiesRequest(page_token="da-nang"))


def test_the_present_is_the_clocks(service: LocalitiesService) -> None:
    early: LocalitiesService = worker_factory(
        LocalitiesService, clock=ManualClock(registry.MERGED - timedelta(seconds=1))
    )

    assert len(early.list_localities(v1.ListLocalitiesRequest()).localities) == 63
    assert len(service.list_localities(v1.ListLocalitiesRequest()).localities) == 34
