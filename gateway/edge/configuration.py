"""Envoy's configuration at one place, from the one template."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Environment, StrictUndefined

from gateway.edge.clusters import clusters
from gateway.edge.documents import documents
from gateway.edge.inside import KEYS_PATH
from gateway.edge.issuers import providers, token_rules
from gateway.edge.public_api import public_methods
from gateway.edge.replies import CLIENT_TYPE, replies
from gateway.edge.routes import routes
from gateway.edge.scopes import TOKEN
from gateway.edge.settings import EdgeSettings
from gateway.edge.tracing import ACCESS_LOG, tracer
from gateway.edge.transcoding import transcoder
from mesh.public import PublicContracts, descriptors_file
from mesh.stack.edge_place import EdgePlace

HEALTH: Final = "/healthz"
_SECRET: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_template: Final = Environment(undefined=StrictUndefined, autoescape=False).from_string(
    files("gateway.edge").joinpath("envoy.yaml.j2").read_text(encoding="utf-8")
)


def configuration(place: EdgePlace, settings: EdgeSettings) -> dict[str, Any]:
    """Returns the configuration; documents of the API are those in the place's folder."""
    methods = public_methods(PublicContracts())
    offered = documents(place.folder)
    from_files = {name: _from_file(place, name) for name in secrets(place.credentials)}
    text = _template.render(
        place=place,
        settings=settings,
        certificate=from_files["certificate"],
        clusters=clusters(sorted({method.service for method in methods}), place, settings, from_files),
        origins=[_origin(origin) for origin in settings.cors_origins],
        providers=providers(place, settings),
        token_rules=token_rules([place.locality, *settings.issuers], [HEALTH, *(one.path for one in offered)]),
        bucket=_bucket(settings),
        transcoder=transcoder(methods, descriptors_file(), settings),
        routes=routes(methods, offered, descriptors_file(), settings),
        replies=replies(),
        client_type=CLIENT_TYPE,
        token=TOKEN,
        keys_path=KEYS_PATH,
        access_log=ACCESS_LOG,
        tracer=tracer(),
    )
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def write(place: EdgePlace, settings: EdgeSettings) -> Path:
    """Writes the configuration to the place's folder and returns the file for `envoy --config-path`."""
    place.folder.mkdir(parents=True, exist_ok=True)
    for name, secret in secrets(place.credentials).items():
        _dump(_secret_file(place, name), {"resources": [secret]})
    file = place.folder / "envoy.yaml"
    _dump(file, configuration(place, settings))
    return file


def secrets(credentials: Path) -> dict[str, Any]:
    """Returns what says where certificates lie, by name.

    Each is a file of its own, since only then Envoy watches the folder for renewed ones.
    """
    watched = {"watched_directory": {"path": str(credentials)}}
    certificate = {
        "certificate_chain": {"filename": str(credentials / "tls.pem")},
        "private_key": {"filename": str(credentials / "tls-key.pem")},
    }
    authorities = {"trusted_ca": {"filename": str(credentials / "ca.pem")}}
    return {
        "certificate": {"@type": _SECRET, "name": "certificate", "tls_certificate": certificate | watched},
        "authorities": {"@type": _SECRET, "name": "authorities", "validation_context": authorities | watched},
    }


def _from_file(place: EdgePlace, name: str) -> dict[str, Any]:
    source = {"path": str(_secret_file(place, name))}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": source}}


def _secret_file(place: EdgePlace, name: str) -> Path:
    return place.folder / f"{name}.yaml"


def _dump(file: Path, content: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _origin(origin: str) -> dict[str, Any]:
    return {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}


def _bucket(settings: EdgeSettings) -> dict[str, Any]:
    return {
        "max_tokens": settings.burst,
        "tokens_per_fill": settings.requests_per_second,
        "fill_interval": "1s",
    }
