"""What can be configured."""

from __future__ import annotations

from mesh.config import MIB, Bytes, Count, Seconds, Section


class GatewaySettings(Section):
    """The event gateway."""

    ring_events: Count = 20_000
    """Latest events kept at hand for all subscribers together; who is further behind reads streams and logs."""
    ring_bytes: Bytes = 64 * MIB
    """Bytes that these may take."""
    heartbeat_s: Seconds = 15
    """Seconds without an event after which a subscriber is sent its cursor alone."""
    subscriptions: Count = 5000
    """Subscriptions under way at a time; further ones are answered RESOURCE_EXHAUSTED."""
    ready_timeout_s: Seconds = 5
    """Seconds a new subscription waits for the gateway to have found the ends of all streams."""
