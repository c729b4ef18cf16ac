"""Settings: where they come from, and what stops start-up."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from mesh import config
from mesh.config import Section, Settings
from mesh.errors import ConfigurationError
from mesh.settings_table import describe


class TideSettings(Section):
    """What a sector's settings look like."""

    alert_level_m: float = 2.0
    """Level in metres that raises an alert."""


def load(environ: dict[str, str] | None = None, **given: object) -> Settings:
    """Reads settings with one sector installed and no variables but those given."""
    return config.load(environ or {}, sections={"tide": TideSettings}, **given)


def test_without_anything_the_defaults_stand() -> None:
    """`lienthong up` needs no configuration."""
    settings = load()

    assert settings.locality == "da-nang"
    assert settings.runtime.batch_units == 500


def test_a_variable_goes_before_the_file_and_the_file_before_the_default(tmp_path: Path) -> None:
    """Three places, one order."""
    file = tmp_path / "lienthong.yaml"
    file.write_text("grpc_port: 7001\nlog_level: DEBUG\n")

    settings = load({"LIENTHONG_CONFIG": str(file), "LIENTHONG_GRPC_PORT": "7002"})

    assert settings.grpc_port == 7002
    assert settings.log_level == "DEBUG"
    assert settings.default_deadline_s == 10


def test_what_a_program_gives_goes_before_everything() -> None:
    """A command-line option overrides the variable of the same name."""
    assert load({"LIENTHONG_LOCALITY": "hue"}, locality="ha-noi").locality == "ha-noi"


def test_two_underscores_reach_into_a_section() -> None:
    """`LIENTHONG_RUNTIME__WORKERS` is `runtime.workers`."""
    assert load({"LIENTHONG_RUNTIME__WORKERS": "3"}).runtime.workers == 3


def test_the_rest_of_a_section_keeps_its_defaults(tmp_path: Path) -> None:
    """A variable and a file can set different keys of one section."""
    file = tmp_path / "lienthong.yaml"
    file.write_text("runtime: {workers: 5, batch_units: 7}\n")

    runtime = load({"LIENTHONG_CONFIG": str(file), "LIENTHONG_RUNTIME__WORKERS": "3"}).runtime

    assert (runtime.workers, runtime.batch_units, runtime.handler_attempts) == (3, 7, 5)


def test_a_sector_brings_a_section_of_its_own() -> None:
    """The section is named as the sector."""
    settings = load({"LIENTHONG_TIDE__ALERT_LEVEL_M": "2.5"})

    section = settings.section("tide")

    assert isinstance(section, TideSettings)
    assert section.alert_level_m == 2.5


def test_a_sector_without_settings_is_named() -> None:
    """Asking for a section nobody registered says so."""
    with pytest.raises(ConfigurationError, match="tide2"):
        load().section("tide2")


def test_a_sector_cannot_take_a_name_of_the_runtime() -> None:
    """A sector called `peers` would hide the runtime's own setting."""
    with pytest.raises(ConfigurationError, match="peers"):
        config.load({}, sections={"peers": TideSettings})


def test_a_shell_can_name_a_locality() -> None:
    """No variable's name may hold a hyphen, so an underscore stands for it."""
    assert load({"LIENTHONG_PEERS__DA_NANG": "10.0.0.1:7001"}).peers == {"da-nang": "10.0.0.1:7001"}


def test_a_map_can_be_json() -> None:
    """What a deployment renders in one piece."""
    assert load({"LIENTHONG_PEERS": '{"hue": "h:1"}'}).peers == {"hue": "h:1"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIENTHONG_BOGUS", "1"),
        ("LIENTHONG_RUNTIME__BOGUS", "1"),
        ("LIENTHONG_LOCALITY__BOGUS", "1"),
        ("LIENTHONG_TIDE__BOGUS", "1"),
        ("LIENTHONG_PEERS__HUE__BOGUS", "1"),
        ("LIENTHONG_LOCALITY", "atlantis"),
        ("LIENTHONG_GRPC_PORT", "65536"),
        ("LIENTHONG_RUNTIME__WORKERS", "0"),
        ("LIENTHONG_TIDE__ALERT_LEVEL_M", "high"),
        ("LIENTHONG_PEERS", "{"),
        ("LIENTHONG_PEERS", '{"atlantis": "h:1"}'),
        ("LIENTHONG_AUTH__ISSUERS", '{"atlantis": {"jwks": "keys.json", "locality": "atlantis"}}'),
        ("LIENTHONG_AUTH__ISSUERS", '{"idp": {"jwks": "http://idp.example/keys"}}'),
        ("LIENTHONG_CONFIG", "/nowhere/lienthong.yaml"),
        ("lienthong_bogus", "1"),
    ],
)
def test_an_unknown_or_invalid_variable_stops_start_up_by_name(variable: str, value: str) -> None:
    """Nobody searches for a misspelt setting."""
    with pytest.raises(ConfigurationError) as refused:
        load({variable: value})

    assert str(refused.value).startswith(variable)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("bogus: 1", "bogus"),
        ("runtime: {bogus: 1}", "runtime.bogus"),
        ("tide: {bogus: 1}", "tide.bogus"),
        ("grpc_port: many", "grpc_port"),
        ("peers: {atlantis: 'h:1'}", "peers.atlantis"),
        ("[a, list]", "LIENTHONG_CONFIG"),
        ("{unclosed", "LIENTHONG_CONFIG"),
    ],
)
def test_an_unknown_or_invalid_key_of_the_file_stops_start_up_by_name(tmp_path: Path, content: str, named: str) -> None:
    """The message says which key and which file."""
    file = tmp_path / "lienthong.yaml"
    file.write_text(content)

    with pytest.raises(ConfigurationError) as refused:
        load(config=file)

    assert str(refused.value).startswith(named)
    assert str(file) in str(refused.value)


def test_every_problem_is_named_at_once() -> None:
    """One start is enough to see all of them."""
    with pytest.raises(ConfigurationError) as refused:
        load({"LIENTHONG_BOGUS": "1", "LIENTHONG_LOCALITY": "atlantis", "LIENTHONG_RUNTIME__WORKERS": "many"})

    assert all(name in str(refused.value) for name in ("BOGUS", "LOCALITY", "RUNTIME__WORKERS"))


def test_a_sector_that_forbids_nothing_is_strict_all_the_same() -> None:
    """A sector team need not remember to forbid unknown keys."""

    class Loose(BaseModel):
        """Pydantic's default ignores what it does not know."""

        level: int = 1

    with pytest.raises(ConfigurationError, match="LIENTHONG_LOOSE__LEVLE"):
        config.load({"LIENTHONG_LOOSE__LEVLE": "2"}, sections={"loose": Loose})


def test_variables_of_others_are_left_alone() -> None:
    """Only the prefix is ours."""
    assert load({"PATH": "/bin", "LIENTHONGX": "1"}).locality == "da-nang"


def test_every_setting_is_documented() -> None:
    """`lienthong config` has something to say about each."""
    described = describe(load())

    assert all(setting.description and setting.type for setting in described)
    assert "LIENTHONG_TIDE__ALERT_LEVEL_M" in {setting.name for setting in described}


def test_what_is_described_can_be_set() -> None:
    """Each default, given back as its variable, changes nothing."""
    settings = load()
    described = describe(settings)

    again = load({setting.name: setting.default for setting in described if setting.default})

    assert [setting.default for setting in describe(again)] == [setting.default for setting in described]
    assert again.model_dump(exclude={"instance"}) == settings.model_dump(exclude={"instance"})


def test_no_secret_is_shown() -> None:
    """Neither a password nor an address that holds one reaches a terminal, a log or an error."""
    environ = {
        "LIENTHONG_NATS_PASSWORD": "tide-secret",
        "LIENTHONG_MONGODB_URI": "mongodb://city:tide-secret@db/",
        "LIENTHONG_NATS_URL": "nats://city:tide-secret@bus:4222",
    }
    settings = load(environ)

    assert "tide-secret" not in repr(settings) + repr(describe(settings))
    assert settings.mongodb_uri == "mongodb://city:tide-secret@db/"


def test_an_invalid_secret_is_not_repeated_in_the_error() -> None:
    """The message names the setting, never its value."""
    with pytest.raises(ConfigurationError) as refused:
        load({"LIENTHONG_MONGODB_URI": "city:tide-secret@db"})

    assert "tide-secret" not in str(refused.value)


def test_a_process_either_proves_who_it_is_or_is_told_to_do_without() -> None:
    """Nothing runs in the clear because somebody forgot a setting."""
    assert load({"LIENTHONG_CREDENTIALS_DIR": "/run/credentials"}).credentials_folder() == Path("/run/credentials")
    assert load({"LIENTHONG_INSECURE": "true"}).credentials_folder() is None
    for environ in ({}, {"LIENTHONG_CREDENTIALS_DIR": "/run/credentials", "LIENTHONG_INSECURE": "true"}):
        with pytest.raises(ConfigurationError, match="LIENTHONG_CREDENTIALS_DIR or LIENTHONG_INSECURE"):
            load(environ).credentials_folder()
