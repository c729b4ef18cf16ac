"""Settings of one process: environment variables `LIENTHONG_…`, then the YAML file `LIENTHONG_CONFIG`, then defaults.

A nested setting is spelled with two underscores (`LIENTHONG_RUNTIME__WORKERS=8`) or as a section of the file.
Sectors add sections of their own through the entry-point group `lienthong.settings`.
An unknown or invalid setting stops start-up, by name.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError

from mesh import localities
from mesh.errors import ConfigurationError

PREFIX = "LIENTHONG_"
SEPARATOR = "__"
GROUP = "lienthong.settings"

MIB = 2**20
GIB = 2**30


def _known_locality(slug: str) -> str:
    if slug not in localities.slugs():
        raise ValueError(f"expected the slug of a locality, as `da-nang` or `{localities.NATIONAL}`")
    return slug


def _slug_keys(value: Any) -> Any:
    """Lets `LIENTHONG_PEERS__DA_NANG` name `da-nang`: a shell allows no hyphen in a variable's name."""
    return {str(key).replace("_", "-"): entry for key, entry in value.items()} if isinstance(value, Mapping) else value


Slug = Annotated[str, AfterValidator(_known_locality)]
Count = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Days = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A group of settings; a sector's settings derive from it. The string under a field documents it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


def _key_set_place(place: str) -> str:
    """A key set that came over the open net unprotected could be anybody's."""
    url = urlsplit(place)
    loopback = url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost")
    if not place or ("://" in place and url.scheme != "https" and not loopback):
        raise ValueError("expected a file or an https:// URL")
    return place


class IssuerSettings(Section):
    """Who may sign tokens for calls to this locality."""

    jwks: Annotated[str, AfterValidator(_key_set_place)]
    """Its public keys as a JSON Web Key Set: a file, or an https:// URL."""
    locality: Slug | None = None
    """Locality it speaks for; by default this one. Another locality's tokens serve its exchange only."""
    audience: str | None = None
    """What its tokens name as `aud`; by default the slug of this locality."""


class AuthSettings(Section):
    """Whom this process believes, and as whom it speaks."""

    private_key_file: Path | None = None
    """PEM file with the locality's Ed25519 private key, to sign its own tokens."""
    issuers: dict[str, IssuerSettings] = {}
    """Who may sign tokens, by the name in their claim `iss`: this locality, others, an identity provider."""


class RuntimeSettings(Section):
    """Tuning; the defaults are meant to stay."""

    workers: Count = 16
    """Handlers that run at the same time."""
    batch_units: Count = 500
    """Units of work that one commit takes at most."""
    batch_bytes: Bytes = 8 * MIB
    """Bytes that one commit writes at most; MongoDB ends at 16 MiB per oplog entry."""
    queue_limit: Count = 2000
    """Calls that may wait for a worker; further ones are answered RESOURCE_EXHAUSTED."""
    handler_attempts: Count = 5
    """Deterministic failures of a handler before its event becomes a dead letter."""
    member_ttl_s: Seconds = 5
    """Seconds without a heartbeat after which other processes take over the duties of one."""
    drain_timeout_s: Seconds = 20
    """Seconds that handlers get to finish when the process is asked to stop."""
    slow_reader_s: Seconds = 20
    """Seconds a reader of a stream that runs on the loop may take nothing before it is cut off."""
    stream_max_age_days: Days = 7
    """Days a stream keeps an event; the log refills what is older."""
    stream_max_bytes: Bytes = GIB
    """Bytes a stream keeps."""
    log_keep_days: Days = 30
    """Days a log keeps an event after it was published."""
    request_keep_days: Days = 7
    """Days within which a repeated request_id gets the first answer."""
    remembered_documents: Annotated[int, Field(ge=0)] = 5000
    """Documents of a service that its process keeps at hand for handlers of events; 0 lets each be read."""
    remembered_bytes: Bytes = 4 * MIB
    """Bytes that these may take."""


class Settings(BaseSettings):
    """Settings of one process. The string under a field documents it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=SEPARATOR,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    config: Path | None = None
    """YAML file with further settings, spelled as here in lower case, sections nested."""
    locality: Slug = "da-nang"
    """Locality whose node this process belongs to."""
    instance: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", min_length=1, max_length=100)
    """Name of this process among those of its service; by default host and process id."""
    data_dir: Path = Path(".lienthong")
    """Folder of the embedded servers: data, generated configuration, keys."""
    endpoints: Path | None = None
    """File with the addresses of a running mesh, written by `lienthong up`; by default `endpoints.json` in data_dir."""
    credentials_dir: Path | None = None
    """Folder with the certificate, keys and passwords of this process; `lienthong up` writes one for each locality."""
    insecure: bool = False
    """Whether to do without credentials: calls in the clear, no login of its own. For trials on one machine only."""

    mongodb_uri: str = Field("mongodb://127.0.0.1:27017", repr=False, pattern=r"^mongodb(\+srv)?://")
    """MongoDB, a replica set; `lienthong up` starts one of its own unless this is set."""
    nats_url: str = Field("nats://127.0.0.1:4222", repr=False, pattern=r"^(nats|tls|ws|wss)://")
    """NATS with JetStream; `lienthong up` starts one of its own unless this is set."""
    nats_user: str | None = None
    """User at NATS."""
    nats_password: SecretStr | None = None
    """Password at NATS."""

    grpc_host: str = "127.0.0.1"
    """Address to listen on for calls."""
    grpc_port: int = Field(0, ge=0, le=65535)
    """Port to listen on for calls; 0 picks a free one."""
    grpc_max_message_bytes: Bytes = 8 * MIB
    """Largest message accepted or sent."""
    grpc_connection_age_s: Seconds = 1800
    """Seconds after which a caller is asked to connect anew, and to prove again who it is; calls under way go on."""
    health_port: int | None = Field(None, ge=1, le=65535)
    """Port that answers grpc.health in the clear, for probes that bring no certificate; by default none."""
    default_deadline_s: Seconds = 10
    """Deadline in seconds of a call that brings none."""
    call_deadline_s: Seconds = 4
    """Deadline in seconds of a call a handler makes to another sector, all tries together."""
    peers: Annotated[dict[Slug, str], BeforeValidator(_slug_keys)] = {}
    """Address `host:port` of the exchange of other localities."""
    services: dict[str, str] = {}
    """Address `host:port` of services of this locality that run in other processes."""

    otlp_endpoint: str | None = Field(None, pattern=r"^https?://")
    """OTLP/gRPC collector for traces and metrics; without it nothing is exported."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe messages that are logged."""

    auth: AuthSettings = AuthSettings()
    """Whom this process believes, and as whom it speaks."""
    runtime: RuntimeSettings = RuntimeSettings()
    """Tuning; the defaults are meant to stay."""

    def section(self, sector: str) -> BaseModel:
        """Returns the settings of one sector; raises ConfigurationError when it registered none."""
        section = getattr(self, sector, None)
        if not isinstance(section, BaseModel):
            raise ConfigurationError(f"no settings are registered for `{sector}` in the entry-point group {GROUP}")
        return section

    def endpoints_file(self) -> Path:
        """Returns where the addresses of a running mesh are written."""
        return self.endpoints or self.data_dir / "endpoints.json"

    def credentials_folder(self) -> Path | None:
        """Returns where a process finds its credentials; None when it is to do without.

        Raises ConfigurationError unless exactly one of `credentials_dir` and `insecure` is set.
        """
        if (self.credentials_dir is None) is not self.insecure:
            state = "both are set" if self.insecure else "neither is set"
            raise ConfigurationError(
                f"{PREFIX}CREDENTIALS_DIR or {PREFIX}INSECURE=true must be set, and {state}: a process either proves "
                "who it is or is told to do without"
            )
        return self.credentials_dir


def load(
    environ: Mapping[str, str] | None = None, *, sections: Mapping[str, type[BaseModel]] | None = None, **given: Any
) -> Settings:
    """Reads the settings; `given` ones go before everything.

    Sections default to those of the installed sectors.
    Raises ConfigurationError that names every unknown or invalid setting.
    """
    environ = os.environ if environ is None else environ
    model = _with_sections(installed_sections() if sections is None else sections)
    file = given.get("config") or _variable(environ, "config")
    in_file = _read(Path(file)) if file else {}
    problems = dict(_unknown_variables(model, environ))
    try:
        settings = _bound(model, environ, in_file)(**given)
    except ValidationError as error:
        for details in error.errors():
            name = _name_as_written(details["loc"], environ, file)
            problems.setdefault(name, details["msg"].removeprefix("Value error, "))
    except SettingsError as error:
        problems.setdefault(_unparsed_variable(error), 'expected JSON, as `{"da-nang": "127.0.0.1:7001"}`')
    if problems:
        raise ConfigurationError("; ".join(f"{name}: {message}" for name, message in problems.items()))
    return settings


def installed_sections() -> dict[str, type[BaseModel]]:
    """Loads what sectors registered in the entry-point group `lienthong.settings`."""
    found: dict[str, type[BaseModel]] = {}
    for point in sorted(entry_points(group=GROUP)):
        try:
            found[point.name] = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(f"entry point {GROUP}: {point.name} = {point.value}: {error}") from error
    return found


def _with_sections(sections: Mapping[str, type[BaseModel]]) -> type[Settings]:
    taken = sections.keys() & Settings.model_fields.keys()
    if taken:
        raise ConfigurationError(f"settings of a sector cannot be named {sorted(taken)}: the runtime has them")
    fields: dict[str, Any] = {
        name: (_strict(model), Field(default_factory=_strict(model))) for name, model in sections.items()
    }
    return create_model("Settings", __base__=Settings, __module__=__name__, **fields)


def _strict(model: type[BaseModel]) -> type[BaseModel]:
    """Returns the model, made to refuse unknown keys if its author did not."""
    if model.model_config.get("extra") == "forbid":
        return model
    return type(model.__name__, (model,), {"model_config": ConfigDict(extra="forbid"), "__module__": model.__module__})


def _bound(model: type[Settings], environ: Mapping[str, str], in_file: dict[str, Any]) -> type[Settings]:
    """Binds the model to these variables and this file, where pydantic-settings would read the process's own."""

    class Environment(EnvSettingsSource):
        def _load_env_vars(self) -> Mapping[str, str | None]:
            return {name.lower(): value for name, value in environ.items()}

    class Bound(model):  # type: ignore[misc, valid-type]  # a class known only at run time
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **_: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, Environment(settings_cls), InitSettingsSource(settings_cls, in_file)

    return Bound


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{PREFIX}CONFIG: cannot read {file}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{PREFIX}CONFIG: {file} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{PREFIX}CONFIG: {file} must hold settings by name, not a {type(content).__name__}")
    return {str(name): value for name, value in content.items()}


def _variable(environ: Mapping[str, str], *path: str) -> str | None:
    wanted = _variable_name(path)
    return next((value for name, value in environ.items() if name.upper() == wanted and value), None)


def _variable_name(path: tuple[str, ...]) -> str:
    return PREFIX + SEPARATOR.join(path).upper()


def _unknown_variables(model: type[BaseModel], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Finds variables that pydantic-settings would pass over in silence."""
    for name in sorted(environ):
        path = name.upper().removeprefix(PREFIX).lower().split(SEPARATOR)
        if name.upper().startswith(PREFIX) and not _names_a_setting(model, path):
            yield name, "no such setting; `lienthong config` lists them"


def _names_a_setting(model: type[BaseModel], path: list[str]) -> bool:
    field = model.model_fields.get(path[0])
    if field is None:
        return False
    section = _section_of(field)
    if section is not None:
        return len(path) == 1 or _names_a_setting(section, path[1:])
    return len(path) == 1 or (len(path) == 2 and get_origin(field.annotation) is dict)


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _name_as_written(location: tuple[int | str, ...], environ: Mapping[str, str], file: Path | str | None) -> str:
    """Names a setting as its author wrote it: the variable, or else the place in the file."""
    path = tuple(str(part) for part in location if part != "[key]")
    place = ".".join(path)
    names = [_variable_name(path[:length]) for length in range(len(path), 0, -1)]
    written = next((name for name in environ if name.upper() in names), None)
    if written is None:
        return f"{place} in {file}" if file else place
    return written if written.upper() == names[0] else f"{written} ({place})"


def _unparsed_variable(error: SettingsError) -> str:
    field = re.search(r'field "(\w+)"', str(error))
    return _variable_name((field[1],)) if field else str(error)
