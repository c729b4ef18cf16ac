"""Agreements as a data-protection officer writes them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidArgument
from mesh.events import catalogue
from services.exchange.agreement import terms, valid_from, valid_until
from services.exchange.agreement_file import bundled_agreements, parse_agreements, read_agreements
from services.exchange.checks import check_agreement

FILE = """\
agreement: dn-hue-air-1
provider: da-nang
recipient: hue
purpose: public-health warning
legal_basis: decree-278-2025/art-7
events:
  - type: lienthong.environment.v1.AirQualityAlertRaised
    fields: [station_id, band, index, raised_at, location]
  - type: lienthong.environment.v1.AirQualityAlertLifted
    fields: "*"
start: NEW
valid: {from: 2026-11-01, until: 2027-10-31}
objective: {freshness_s: 30}
"""
VIETNAM = timezone(timedelta(hours=7))
README = Path(__file__).parents[3] / "services" / "exchange" / "README.md"
EXAMPLES = Path(__file__).parents[3] / "examples" / "agreements"


def refusal(text: str) -> str:
    with pytest.raises(InvalidArgument) as refused:
        parse_agreements(text, "dn-hue.yaml")
    return refused.value.message


def test_an_agreement_is_read():
    [read] = parse_agreements(FILE)

    assert (read.id, read.provider, read.recipient) == ("dn-hue-air-1", "da-nang", "hue")
    assert [list(event.fields) for event in read.events] == [
        ["station_id", "band", "index", "raised_at", "location"],
        ["*"],
    ]
    assert read.freshness_s == 30
    assert not read.HasField("start")


def test_a_date_is_a_day_in_vietnam_and_the_last_day_belongs_to_it():
    [read] = parse_agreements(FILE)

    assert valid_from(read) == datetime(2026, 11, 1, tzinfo=VIETNAM)
    assert valid_until(read) == datetime(2027, 11, 1, tzinfo=VIETNAM)


def test_a_time_with_its_offset_is_taken_as_it_is():
    text = FILE.replace("until: 2027-10-31", "until: 2027-10-31T12:00:00Z").replace("NEW", "2026-11-01T06:30:00+07:00")

    [read] = parse_agreements(text)

    assert valid_until(read) == datetime(2027, 10, 31, 12, tzinfo=UTC)
    assert read.start.ToDatetime(tzinfo=UTC) == datetime(2026, 10, 31, 23, 30, tzinfo=UTC)


def test_start_and_objective_may_be_left_to_their_defaults():
    text = FILE.replace("start: NEW\n", "").replace("objective: {freshness_s: 30}\n", "")

    [read] = parse_agreements(text)

    assert not read.HasField("start")
    assert read.freshness_s == 0


def test_one_file_may_hold_several_agreements():
    read = parse_agreements(FILE + "---\n" + FILE.replace("dn-hue-air-1", "dn-hue-air-2"))

    assert [agreement.id for agreement in read] == ["dn-hue-air-1", "dn-hue-air-2"]


LOOKUPS = """\
lookups:
  - rpc: lienthong.environment.v1.EnvironmentService/ListStations
    fields: "*"
  - rpc: lienthong.environment.v1.EnvironmentService/ListHourlyAirQuality
    fields: [hours.hour, hours.index]
"""


def test_lookups_are_read_beside_events_or_without():
    [both] = parse_agreements(FILE.replace("start: NEW\n", LOOKUPS))
    [alone] = parse_agreements(FILE[: FILE.index("events:")] + LOOKUPS + FILE[FILE.index("valid:") :])

    assert [granted.rpc.rpartition("/")[2] for granted in both.lookups] == ["ListStations", "ListHourlyAirQuality"]
    assert [list(granted.fields) for granted in both.lookups] == [["*"], ["hours.hour", "hours.index"]]
    assert list(alone.lookups) == list(both.lookups)
    assert not alone.events


def test_the_order_of_lookups_and_of_their_fields_is_no_term():
    [one] = parse_agreements(FILE.replace("start: NEW\n", LOOKUPS))
    other = parse_agreements(FILE.replace("start: NEW\n", LOOKUPS))[0]
    other.lookups.reverse()
    other.lookups[0].fields.reverse()

    assert terms(one) == terms(other)
    del other.lookups[0]
    assert terms(one) != terms(other)


@pytest.mark.parametrize(
    ("wrong", "right", "complaint"),
    [
        ("lookups: []\n", LOOKUPS, "lookups: List should have at least 1 item"),
        ("  - type:", "  - rpc:", "lookups[0].type: is not a key here; the keys are rpc, fields (dn-hue.yaml line 12)"),
        ("fields: []", 'fields: "*"', "lookups[0].fields: List should have at least 1 item"),
        ("rpc: 1", "rpc: lienthong.environment.v1.EnvironmentService/ListStations", "lookups[0].rpc: Input should be"),
    ],
)
def test_a_complaint_about_a_lookup_names_it(wrong: str, right: str, complaint: str):
    assert complaint in refusal(FILE.replace("start: NEW\n", LOOKUPS.replace(right, wrong, 1)))


@pytest.mark.parametrize(
    ("wrong", "right", "complaint"),
    [
        ("purpos:", "purpose:", "purpos: is not a key here"),
        ("", "purpose: public-health warning\n", "purpose: is missing (dn-hue.yaml line 1)"),
        ("recipient: ~", "recipient: hue", "recipient: Input should be a valid string (dn-hue.yaml line 3)"),
        ("DN/1", "dn-hue-air-1", "agreement: String should match pattern"),
        ("station_id", '"*"', "events[1].fields: Input should be a valid list (dn-hue.yaml line 10)"),
        ("[]", '"*"', "events[1].fields: List should have at least 1 item"),
        (
            "    field:",
            "    fields:",
            "events[0].field: is not a key here; the keys are type, fields (dn-hue.yaml line 8)",
        ),
        ("2026-13-01", "2026-11-01", "valid.from: expects a date such as 2026-11-01"),
        ("2026-11-01T00:00:00", "2026-11-01", "valid.from: expects a time with its offset"),
        ("9999-12-31", "2027-10-31", "valid.until: expects a date"),
        ("start: SOON", "start: NEW", "start: expects a date such as 2026-11-01"),
        ("-1", "30", "objective.freshness_s: Input should be greater than or equal to 0 (dn-hue.yaml line 13)"),
        (".nan", "30", "objective.freshness_s: Input should be a finite number"),
        (
            "provider: hue\nprovider: da-nang",
            "provider: da-nang",
            "agreement: provider is given twice (dn-hue.yaml line 3)",
        ),
        ("events: [", "events:", "agreement: "),
    ],
)
def test_a_complaint_names_field_and_line(wrong: str, right: str, complaint: str):
    assert complaint in refusal(FILE.replace(right, wrong, 1))


def test_all_complaints_are_told_at_once():
    text = FILE.replace("provider:", "from:").replace("30", "-1")

    with pytest.raises(InvalidArgument) as refused:
        parse_agreements(text)

    assert {violation.field for violation in refused.value.violations} == {"provider", "from", "objective.freshness_s"}


@pytest.mark.parametrize(
    "text", ["", "# nothing", "- 1", "just text", "\x00", "&a [*a]", "{[1]: 2}", "a: 0b_", "!!python/name:os.system {}"]
)
def test_a_file_that_is_no_agreement_is_refused(text: str):
    assert refusal(text)


@given(st.text(max_size=60), st.integers(0, len(FILE)), st.integers(0, 40))
def test_whatever_is_written_gives_an_agreement_or_a_refusal(noise: str, at: int, cut: int):
    with suppress(InvalidArgument):
        assert parse_agreements(FILE[:at] + noise + FILE[at + cut :])


def test_the_bundled_agreements_join_two_pairs_of_neighbours_both_ways():
    parties = {(bundled.provider, bundled.recipient) for bundled in bundled_agreements()}

    assert parties == {
        ("da-nang", "hue"), ("hue", "da-nang"), ("ha-noi", "quang-ninh"), ("quang-ninh", "ha-noi"),
    }  # fmt: skip


def test_the_bundled_agreements_share_air_both_ways_floods_to_hue_and_cases_both_ways():
    topics = {
        bundled.id: {catalogue()[shared.type].topic for shared in bundled.events} for bundled in bundled_agreements()
    }

    assert topics == {
        **{f"{pair}-air-1": {"air_quality_alert"} for pair in ("dn-hue", "hue-dn", "hn-qn", "qn-hn")},
        "dn-hue-flood-1": {"flood_alarm"},
        **{f"{pair}-case-1": {"case"} for pair in ("dn-hue", "hue-dn")},
        "hue-dn-lookup-1": set(),
    }


def test_a_bundled_agreement_lets_da_nang_look_up_the_air_of_hue():
    [looked_up] = [bundled for bundled in bundled_agreements() if bundled.lookups]

    assert (looked_up.provider, looked_up.recipient) == ("hue", "da-nang")
    assert {granted.rpc.rpartition("/")[2] for granted in looked_up.lookups} == {
        "GetStation", "ListStations", "ListHourlyAirQuality", "ListDailyAirQuality",
    }  # fmt: skip


def test_the_bundled_agreements_may_be_applied_by_both_their_parties():
    for bundled in bundled_agreements():
        check_agreement(bundled, here=bundled.provider)
        check_agreement(bundled, here=bundled.recipient)


def test_the_examples_are_the_bundled_agreements():
    assert [terms(a) for a in read_agreements(EXAMPLES)] == [terms(a) for a in bundled_agreements()]


def test_the_agreement_of_the_readme_is_the_bundled_one():
    text = README.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]

    [read] = parse_agreements(text)

    assert terms(read) in [terms(bundled) for bundled in bundled_agreements()]


def test_a_folder_without_agreements_is_refused(tmp_path: Path):
    with pytest.raises(InvalidArgument, match=r"holds no \*.yaml file"):
        read_agreements(tmp_path)
