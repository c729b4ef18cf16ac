"""Envoy's configuration at one place, from the one template."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Environment, StrictUndefined

from gateway.edge.clusters import clusters
from gateway.edge.documents import documents
from gateway.edge.issuers import believed, key_files, providers, token_rules
from gateway.edge.public_api import public_methods
from gateway.edge.replies import CLIENT_TYPE, replies
from gateway.edge.routes import routes
from gateway.edge.scopes import TOKEN
from gateway.edge.settings import EdgeSettings
from gateway.edge.tracing import ACCESS_LOG, tracer
from gateway.edge.transcoding import transcoder
from mesh.config import load
from mesh.public import PublicContracts, descriptors_file
from mesh.stack.edge import EdgeCommand
from mesh.stack.edge_place import EdgeFiles, EdgePlace

HEALTH: Final = "/healthz"
_CONTRACTS: Final = "contracts.pb"
_SECRET: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
# Those in C take a tenth of the 0.7 s that the others need for one edge.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_template: Final = Environment(undefined=StrictUndefined, autoescape=False).from_string(
    files("gateway.edge").joinpath("envoy.yaml.j2").read_text(encoding="utf-8")
)


def configuration(place: EdgePlace, its_files: EdgeFiles, settings: EdgeSettings) -> dict[str, Any]:
    """Returns the configuration."""
    methods = public_methods(PublicContracts())
    issuers = believed(place)
    offered, contracts = documents(its_files), _contracts(its_files)
    from_files = {name: _from_file(its_files, name) for name in secrets(place.credentials)}
    text = _template.render(
        place=place,
        admin=str(its_files.admin),
        settings=settings,
        certificate=from_files["certificate"],
        clusters=clusters(sorted({method.service for method in methods}), place, settings, from_files),
        origins=[_origin(origin) for origin in settings.cors_origins],
        providers=providers(issuers),
        token_rules=token_rules(issuers, [HEALTH, *(one.path for one in offered)]),
        bucket=_bucket(settings),
        transcoder=transcoder(methods, contracts, settings),
        routes=routes(methods, offered, contracts, settings),
        replies=replies(),
        client_type=CLIENT_TYPE,
        token=TOKEN,
        key_files=key_files(issuers),
        access_log=ACCESS_LOG,
        tracer=tracer(place.locality),
    )
    found: dict[str, Any] = yaml.load(text, _LOADER)
    return found


def write(place: EdgePlace, its_files: EdgeFiles, settings: EdgeSettings) -> Path:
    """Writes the configuration and returns the file for `envoy --config-path`."""
    its_files.folder.mkdir(parents=True, exist_ok=True)
    if its_files.at is not None:
        shutil.copyfile(descriptors_file(), its_files.folder / _CONTRACTS)
    for name, secret in secrets(place.credentials).items():
        _dump(_secret_file(its_files, name), {"resources": [secret]})
    file = its_files.folder / "envoy.yaml"
    _dump(file, configuration(place, its_files, settings))
    return file


def configure(place: EdgePlace, its_files: EdgeFiles) -> EdgeCommand:
    """Writes the configuration by the settings of this process; for `mesh.stack.edge`."""
    own = load()
    settings = own.section("edge")
    assert isinstance(settings, EdgeSettings)
    place = replace(place, issuers=own.auth.issuers, collector=place.collector or own.otlp_endpoint)
    file = write(place, its_files, settings)
    return EdgeCommand(file, settings.program, settings.threads, settings.drain_timeout_s)


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


def _from_file(its_files: EdgeFiles, name: str) -> dict[str, Any]:
    source = {"path": str(its_files.as_read(_secret_file(its_files, name)))}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": source}}


def _secret_file(its_files: EdgeFiles, name: str) -> Path:
    return its_files.folder / f"{name}.yaml"


def _contracts(its_files: EdgeFiles) -> Path:
    """The installed ones, of which an Envoy that runs elsewhere gets a copy."""
    return descriptors_file() if its_files.at is None else its_files.at / _CONTRACTS


def _dump(file: Path, content: dict[str, Any]) -> None:
    file.write_text(yaml.dump(content, Dumper=_DUMPER, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _origin(origin: str) -> dict[str, Any]:
    return {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}


def _bucket(settings: EdgeSettings) -> dict[str, Any]:
    return {
        "max_tokens": settings.burst,
        "tokens_per_fill": settings.requests_per_second,
        "fill_interval": "1s",
    }
