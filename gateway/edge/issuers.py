"""Whose tokens are taken: the locality's own, and those of configured OpenID Connect issuers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.edge.inside import INSIDE, KEYS_PATH
from gateway.edge.scopes import TOKEN
from gateway.edge.settings import EdgeSettings, OidcIssuer
from mesh.stack.edge_place import EdgePlace

_SKEW_S: Final = 5
"""How far clocks may differ; the services allow as much."""


def providers(place: EdgePlace, settings: EdgeSettings) -> dict[str, Any]:
    """Returns how tokens of each issuer are verified."""
    own = _provider(place.locality, place.locality, _fetched(f"http://{INSIDE}{KEYS_PATH}", INSIDE, "0.1s"))
    return {
        place.locality: own,
        **{
            issuer: _provider(
                issuer, oidc.audience or place.locality, _fetched(oidc.jwks_uri, cluster_name(oidc), "300s")
            )
            for issuer, oidc in settings.issuers.items()
        },
    }


def token_rules(issuers: Iterable[str], open_paths: Iterable[str]) -> list[dict[str, Any]]:
    """Returns which requests need a token: all but these paths."""
    any_of = [{"provider_name": issuer} for issuer in issuers]
    needed = any_of[0] if len(any_of) == 1 else {"requires_any": {"requirements": any_of}}
    return [*({"match": {"path": path}} for path in open_paths), {"match": {"prefix": "/"}, "requires": needed}]


def cluster_name(oidc: OidcIssuer) -> str:
    """Returns the name of the cluster by which its keys are fetched."""
    return f"keys of {urlsplit(oidc.jwks_uri).hostname}"


def _provider(issuer: str, audience: str, keys: dict[str, Any]) -> dict[str, Any]:
    return {
        "remote_jwks": keys,
        "issuer": issuer,
        "audiences": [audience],
        "require_expiration": True,
        "clock_skew_seconds": _SKEW_S,
        # Only there: a token in a URL ends up in logs.
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        # The services verify it again.
        "forward": True,
        "payload_in_metadata": TOKEN,
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
    }


def _fetched(uri: str, cluster: str, fresh: str) -> dict[str, Any]:
    return {"http_uri": {"uri": uri, "cluster": cluster, "timeout": "5s"}, "cache_duration": fresh}
