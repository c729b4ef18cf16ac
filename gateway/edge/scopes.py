"""The scope of an RPC, asked for at the edge: what a service would refuse does not reach it."""

from __future__ import annotations

from typing import Any, Final

from mesh.auth import ALL_SCOPES

VERIFICATION: Final = "envoy.filters.http.jwt_authn"
TOKEN: Final = "token"
"""Under this key the verification leaves what a good token says."""

_RBAC: Final = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"


def scope_needed(scope: str) -> dict[str, Any]:
    """Returns what a route lets through: tokens with the scope, or with all."""
    policy = {"permissions": [{"any": True}], "principals": [_has(enough) for enough in (scope, ALL_SCOPES)]}
    return {"@type": _RBAC, "rbac": {"rules": {"action": "ALLOW", "policies": {scope: policy}}}}


def _has(scope: str) -> dict[str, Any]:
    said = {"filter": VERIFICATION, "path": [{"key": TOKEN}, {"key": "scope"}]}
    listed = {"list_match": {"one_of": {"string_match": {"exact": scope}}}}
    return {"sourced_metadata": {"metadata_matcher": said | {"value": listed}}}
