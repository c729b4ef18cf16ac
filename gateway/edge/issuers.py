"""Whose tokens are taken: the locality's own, and those of the setting `LIENTHONG_AUTH__ISSUERS`, as services do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.edge.inside import INSIDE
from gateway.edge.scopes import TOKEN
from mesh.stack.edge_place import EdgePlace

_SKEW_S: Final = 5
"""How far clocks may differ; the services allow as much."""
_FILE_FRESH: Final = "1s"
"""Age of keys at which a file is fetched again. Envoy counts whole seconds: with less it fetches for every call."""
_URL_FRESH: Final = "300s"


@dataclass(frozen=True, slots=True)
class Believed:
    """Who may sign tokens for outsiders."""

    issuer: str
    """Its `iss`."""
    audience: str
    """What its tokens must name as `aud`."""
    jwks: str
    """Its keys: a file, or a URL."""
    number: int

    @property
    def is_remote(self) -> bool:
        """Whether its keys lie at a URL."""
        return "://" in self.jwks

    @property
    def cluster(self) -> str:
        """Name of the cluster by which its keys are fetched."""
        return f"keys of {urlsplit(self.jwks).netloc}" if self.is_remote else INSIDE

    @property
    def inside_path(self) -> str:
        """Where the listener inside hands out its file."""
        return f"/keys/{self.number}"


def believed(place: EdgePlace) -> list[Believed]:
    """Lists them, the locality first."""
    own = (place.locality, place.locality, str(place.keys))
    others = (
        (name, issuer.audience or place.locality, issuer.jwks)
        for name, issuer in place.issuers.items()
        # Other localities' tokens are for exchanges, which are not reached from outside.
        if name != place.locality and issuer.locality in (None, place.locality)
    )
    return [Believed(*one, number) for number, one in enumerate([own, *others])]


def providers(issuers: Iterable[Believed]) -> dict[str, Any]:
    """Returns how tokens of each issuer are verified."""
    return {one.issuer: _provider(one) for one in issuers}


def key_files(issuers: Iterable[Believed]) -> list[dict[str, str]]:
    """Returns the files that the listener inside hands out, with the path of each."""
    return [
        {"path": one.inside_path, "file": one.jwks, "folder": str(Path(one.jwks).parent)}
        for one in issuers
        if not one.is_remote
    ]


def token_rules(issuers: Iterable[Believed], open_paths: Iterable[str]) -> list[dict[str, Any]]:
    """Returns which requests need a token: all but these paths."""
    any_of = [{"provider_name": one.issuer} for one in issuers]
    needed = any_of[0] if len(any_of) == 1 else {"requires_any": {"requirements": any_of}}
    return [*({"match": {"path": path}} for path in open_paths), {"match": {"prefix": "/"}, "requires": needed}]


def _provider(one: Believed) -> dict[str, Any]:
    uri, fresh = (one.jwks, _URL_FRESH) if one.is_remote else (f"http://{INSIDE}{one.inside_path}", _FILE_FRESH)
    return {
        "remote_jwks": {"http_uri": {"uri": uri, "cluster": one.cluster, "timeout": "5s"}, "cache_duration": fresh},
        "issuer": one.issuer,
        "audiences": [one.audience],
        # Requests are counted by subject: those of nobody would not be.
        "subjects": {"safe_regex": {"regex": ".+"}},
        "require_expiration": True,
        "clock_skew_seconds": _SKEW_S,
        # Only there: a token in a URL ends up in logs.
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        # The services verify it again.
        "forward": True,
        "payload_in_metadata": TOKEN,
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
    }
