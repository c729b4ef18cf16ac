"""Doors as they follow from what services declare."""

from __future__ import annotations

from lienthong.environment.v1 import AirQualityAlertLifted, AirQualityAlertRaised, FloodAlarmRaised
from mesh import ANY, PEERS, Client, Emit, Store, subscribe
from mesh.doors.declared import Interest, OwnStream, declared
from mesh.doors.matrix import Matrix
from mesh.doors.principals import PEER, principals
from mesh.doors.subjects import Door, door_of, operators_door
from mesh.identity import EDGE
from mesh.subscribe import LOCAL

API = "$JS.API"


class Listener:
    """Hears of bad air anywhere and of floods elsewhere, asks transport, says nothing."""

    name = "listener"
    store = Store()
    transport = Client("transport")

    @subscribe(AirQualityAlertRaised, origin=ANY)
    def raised(self, alert, event): ...

    @subscribe(AirQualityAlertLifted, origin=ANY)
    def lifted(self, alert, event): ...

    @subscribe(FloodAlarmRaised, origin=PEERS)
    def flooded(self, alarm, event): ...


class Speaker:
    """Says things and hears nothing."""

    name = "speaker"
    emit = Emit()


class Onlooker:
    """Reads whatever its callers ask for."""

    name = "onlooker"
    reads_events = ANY


class Silent:
    """Has no business on the bus."""

    name = "silent"
    store = Store()


def test_a_service_declares_each_topic_it_subscribes_to_once() -> None:
    """Two types of one topic and origin are one interest, as they are one subscription."""
    assert declared(Listener).interests == (
        Interest(ANY, "environment", "air_quality_alert"),
        Interest(PEERS, "environment", "flood_alarm"),
    )


def test_a_listener_may_make_consumers_on_its_topics_and_publish_no_event() -> None:
    """Own events come from the sector's account, those of peers from the exchange's."""
    door = door_of(declared(Listener), "hue")

    sector, border = "api.environment.CONSUMER", "api.exchange.CONSUMER"
    assert door.publish == ()
    assert set(door.open_to_publish) == {
        f"{sector}.CREATE.EVENTS_HUE_ENVIRONMENT.*.events.hue.environment.air_quality_alert.*",
        f"{sector}.MSG.NEXT.EVENTS_HUE_ENVIRONMENT.*",
        f"{sector}.DELETE.EVENTS_HUE_ENVIRONMENT.*",
        f"{border}.CREATE.EVENTS_HUE_EXCHANGE.*.events.*.environment.air_quality_alert.*",
        f"{border}.CREATE.EVENTS_HUE_EXCHANGE.*.events.*.environment.flood_alarm.*",
        f"{border}.MSG.NEXT.EVENTS_HUE_EXCHANGE.*",
        f"{border}.DELETE.EVENTS_HUE_EXCHANGE.*",
    }
    assert door.subscribe == ("_INBOX.listener.>",)


def test_a_speaker_publishes_its_log_and_keeps_its_stream() -> None:
    """And makes no consumer, not even on its own stream."""
    door = door_of(declared(Speaker), "hue")

    assert "events.hue.speaker.>" in door.publish
    assert f"{API}.STREAM.CREATE.EVENTS_HUE_SPEAKER" in door.publish
    assert not [subject for subject in door.publish if "CONSUMER" in subject]
    assert {subject.rpartition(".")[2] for subject in door.publish[1:]} == {"EVENTS_HUE_SPEAKER"}


def test_who_reads_all_events_does_so_by_filter() -> None:
    """A sector that is added later is read too; what is shared between localities never is."""
    made = [subject for subject in door_of(declared(Onlooker), "hue").open_to_publish if "CREATE" in subject]

    assert made == ["api.*.CONSUMER.CREATE.*.*.events.>"]


def test_a_service_without_business_on_the_bus_has_no_login() -> None:
    """It has no connection either, so it costs nothing."""
    silent = principals([declared(Silent)], "hue")[0]

    assert not declared(Silent).on_bus
    assert not silent.on_bus
    assert silent.databases == (("hue_silent", "readWrite"),)


def test_a_door_that_opens_nothing_denies_everything() -> None:
    """An empty list would allow all in the server's configuration."""
    assert Door().as_config() == {"publish": {"deny": [">"]}, "subscribe": {"deny": [">"]}}


def test_the_operator_has_no_verb_that_changes_anything() -> None:
    """It reads through consumers of its own, which the server forgets."""
    asked = {subject.removeprefix("api.*.").rstrip(".*") for subject in operators_door().open_to_publish}

    assert asked == {f"{API}.INFO", "STREAM.INFO", "CONSUMER.CREATE", "CONSUMER.MSG.NEXT"}


def test_a_class_says_which_further_streams_are_its_own() -> None:
    """It writes to some and reads others by a filter."""

    class Border(Speaker):
        @classmethod
        def own_streams(cls, locality: str) -> list[OwnStream]:
            return [OwnStream("OUT", publishes=(f"out.{locality}.>",)), OwnStream("IN", reads=("in.>",))]

    door = door_of(declared(Border), "hue")

    assert "out.hue.>" in door.publish
    assert f"{API}.CONSUMER.CREATE.IN.*.in.>" in door.publish
    assert f"{API}.CONSUMER.CREATE.OUT.*.out.hue.>" not in door.publish


def test_the_matrix_names_who_an_rpc_opens_to() -> None:
    """Another locality reads a share log, the edge nothing internal, and a caller the contract it declared."""
    matrix = Matrix.of([declared(Listener), declared(Speaker)], "hue", [("hue", "da-nang")])
    callers = {f"{rpc.service}/{rpc.method}": matrix.callers(rpc) for rpc in matrix.rpcs}

    assert callers["lienthong.mesh.v1.NodeService/ReadLog"] == ["listener", "operator"]
    assert callers["lienthong.mesh.v1.NodeService/GetStatus"] == ["operator"]
    assert not [named for named in callers.values() if EDGE in named or PEER in named]
    assert matrix.as_json()["hub"][0]["open_to"].keys() == {"hue", "da-nang"}


def test_the_tokens_of_a_reader_open_its_topics_in_the_logs_behind_the_streams() -> None:
    """Who reads all events may read whole logs; who reads none has no business with any."""
    scopes = {one.name: one.scopes for one in principals(map(declared, (Listener, Onlooker, Speaker)), "hue")}

    assert {scope for scope in scopes["listener"] if scope.startswith("mesh.log")} == {
        "mesh.log",
        "mesh.log:local.environment.air_quality_alert",
        "mesh.log:peers.environment.air_quality_alert",
        "mesh.log:peers.environment.flood_alarm",
    }
    assert scopes["onlooker"] == {"mesh.log", "mesh.log:local.*", "mesh.log:peers.*"}
    assert scopes["speaker"] == set()


def test_local_interest_stays_at_home() -> None:
    """A subscription to its own locality's events reads no stream of the border."""

    class AtHome:
        name = "at_home"

        @subscribe(AirQualityAlertRaised, origin=LOCAL)
        def raised(self, alert, event): ...

    assert not [subject for subject in door_of(declared(AtHome), "hue").open_to_publish if "EXCHANGE" in subject]


def test_a_lookup_is_asked_of_the_exchange_and_answered_through_it() -> None:
    """The sector asks its exchange for what is elsewhere; the exchange asks the sector for what others may know."""

    class Air:
        name = "environment"

    class Border:
        name = "exchange"
        answers_lookups = True

    air, border = principals([declared(Air), declared(Border)], "hue")[:2]
    looked_up = {lookup.scope for lookup in declared(Air).lookups}

    assert looked_up
    assert air.scopes == {"exchange.ask"}
    assert border.scopes == looked_up
