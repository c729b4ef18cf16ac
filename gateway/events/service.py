"""The event gateway: what outsiders can subscribe to, and their subscriptions. It commits nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.events import event_types
from gateway.events.feed import Feed
from lienthong.gateway import v1
from mesh import ANY, Caller, rpc
from mesh.errors import NotFound
from mesh.events import catalogue
from mesh.pages import page_in_memory


class EventGateway:
    """Events of one locality for whoever stands outside."""

    name = "gateway"
    contract = "lienthong.gateway.v1.EventGateway"
    reads_events = ANY
    """Whatever its subscribers may ask for."""
    feed = Feed()
    caller = Caller()

    @rpc
    async def subscribe(self, request: v1.SubscribeRequest) -> AsyncIterator[bytes]:
        """Delivers events as they are committed."""
        async with await self.feed.open(request, self.caller) as subscription:
            while True:
                yield await subscription.next()

    @rpc
    def list_event_types(self, request: v1.ListEventTypesRequest) -> v1.ListEventTypesResponse:
        """Lists the kinds of events by name."""
        kinds = [kind for kind in catalogue() if request.sector in ("", kind.sector)]
        found, token = page_in_memory(kinds, request)
        types = [event_types.summary(kind, self.caller) for kind in found]
        return v1.ListEventTypesResponse(types=types, next_page_token=token)

    @rpc
    def get_event_type(self, request: v1.GetEventTypeRequest) -> v1.GetEventTypeResponse:
        """Returns one kind of event with its schema and an example."""
        kind = catalogue().get(request.type)
        if kind is None:
            raise NotFound("event type", request.type)
        return v1.GetEventTypeResponse(type=event_types.whole(kind, self.caller))
