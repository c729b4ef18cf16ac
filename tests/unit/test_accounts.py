"""Accounts of a locality's NATS server, as they follow from doors."""

from __future__ import annotations

from typing import Any

from mesh.doors.accounts import accounts
from mesh.doors.subjects import Door, Reading

ALERTS = "events.hue.environment.alert.*"
SPEAKER = Door(("events.hue.environment.>",), log="EVENTS_HUE_ENVIRONMENT", logged=("events.hue.environment.>",))
LISTENER = Door(reads=(Reading("environment", "EVENTS_HUE_ENVIRONMENT", ALERTS),))
ONLOOKER = Door(reads=(Reading("*", "*", "events.>"),))


def rendered(**doors: Door) -> dict[str, Any]:
    """The accounts of principals whose users are named as they are."""
    return accounts(doors, {name: {"nkey": name} for name in doors})


def test_what_one_reads_is_exported_to_that_one_alone() -> None:
    """Without a list of accounts an export is open to all."""
    made = rendered(environment=SPEAKER, health=LISTENER, transport=Door())

    assert [export["accounts"] for export in made["environment"]["exports"]] == [["health"]] * 3
    assert not made["transport"]["imports"]
    assert made["health"]["imports"][0] == {
        "service": {
            "account": "environment",
            "subject": f"$JS.API.CONSUMER.CREATE.EVENTS_HUE_ENVIRONMENT.*.{ALERTS}",
        },
        "to": f"api.environment.CONSUMER.CREATE.EVENTS_HUE_ENVIRONMENT.*.{ALERTS}",
    }


def test_only_a_pull_is_answered_by_many_messages() -> None:
    """Told apart, because the server forgets where an answer goes after the first one otherwise."""
    exports = rendered(environment=SPEAKER, health=LISTENER)["environment"]["exports"]

    kinds = {export["service"].split(".")[3]: export.get("response_type") for export in exports}
    assert kinds == {"CREATE": None, "MSG": "stream", "DELETE": None}


def test_who_reads_every_log_reads_no_other_stream() -> None:
    """The exchange also keeps streams that hold what was shared."""
    made = rendered(environment=SPEAKER, exchange=Door(log="EVENTS_HUE_EXCHANGE"), gateway=ONLOOKER)

    streams = {one["service"]["subject"].split(".CREATE.")[-1] for one in made["gateway"]["imports"]}
    assert {one for one in streams if "events" in one} == {
        "EVENTS_HUE_ENVIRONMENT.*.events.>",
        "EVENTS_HUE_EXCHANGE.*.events.>",
    }
    assert not [one for one in made["gateway"]["imports"] if one["service"]["subject"].endswith("CREATE.*.*")]


def test_a_sector_that_is_not_there_is_not_read() -> None:
    """Its account comes with it, and then its readers' imports do."""
    assert not rendered(health=LISTENER)["health"]["imports"]
    assert rendered(health=LISTENER, environment=SPEAKER)["health"]["imports"]


def test_an_operator_sees_events_go_by_and_nobody_else_does() -> None:
    """They are exported to it alone."""
    made = rendered(environment=SPEAKER, operator=Door(sees=True), health=LISTENER)

    shown = [export for export in made["environment"]["exports"] if "stream" in export]
    assert shown == [{"stream": "events.hue.environment.>", "accounts": ["operator"]}]
    assert [one for one in made["operator"]["imports"] if "stream" in one] == [
        {"stream": {"account": "environment", "subject": "events.hue.environment.>"}}
    ]


def test_the_link_to_other_localities_has_an_account_to_be_in() -> None:
    """Also where no exchange runs."""
    assert rendered(environment=SPEAKER)["exchange"] == {"jetstream": "enabled"}
