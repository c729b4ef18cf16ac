"""The registry of localities: what can be asked of it. It writes nothing and follows no events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lienthong.localities import v1
from mesh import Clock, rpc
from mesh.errors import InvalidArgument, NotFound
from mesh.pages import page_in_memory
from services.localities import registry
from services.localities.messages import former_unit_message, locality_message, type_name


class LocalitiesService:
    """Provinces and cities, as they are, were, and were known to be."""

    name = "localities"
    clock = Clock()

    @rpc
    def get_locality(self, request: v1.GetLocalityRequest) -> v1.GetLocalityResponse:
        """Returns one locality as of a moment."""
        if bool(request.code) == bool(request.slug):
            raise InvalidArgument.field("code", "either code or slug must be given", rule="required")
        for found in registry.as_of(*self._moments(request)):
            if request.code == found.code or (request.slug and request.slug == found.slug):
                return v1.GetLocalityResponse(locality=locality_message(found))
        raise NotFound("locality", request.code or request.slug)

    @rpc
    def list_localities(self, request: v1.ListLocalitiesRequest) -> v1.ListLocalitiesResponse:
        """Lists localities by code, as of a moment."""
        type = type_name(request.type)
        wanted = [found for found in registry.as_of(*self._moments(request)) if not type or found.type == type]
        found, token = page_in_memory(wanted, request)
        return v1.ListLocalitiesResponse(localities=map(locality_message, found), next_page_token=token)

    @rpc
    def list_locality_versions(self, request: v1.ListLocalityVersionsRequest) -> v1.ListLocalityVersionsResponse:
        """Lists all that was ever recorded under a code."""
        versions = registry.versions(request.code)
        if not versions:
            raise NotFound("locality", request.code)
        found, token = page_in_memory(versions, request)
        return v1.ListLocalityVersionsResponse(versions=map(locality_message, found), next_page_token=token)

    @rpc
    def resolve_code(self, request: v1.ResolveCodeRequest) -> v1.ResolveCodeResponse:
        """Returns what a code has become."""
        used_at = request.used_at.ToDatetime(UTC) if request.HasField("used_at") else None
        found, former = registry.resolve(request.code, used_at, self.clock.now())
        if found is None:
            raise NotFound("locality", request.code)
        former_unit = former_unit_message(former) if former else None
        return v1.ResolveCodeResponse(locality=locality_message(found), former_unit=former_unit)

    def _moments(self, request: Any) -> tuple[datetime, datetime]:
        """Which moment a request is about, and what was known when."""
        now = self.clock.now()
        return (
            request.valid_at.ToDatetime(UTC) if request.HasField("valid_at") else now,
            request.known_at.ToDatetime(UTC) if request.HasField("known_at") else now,
        )
