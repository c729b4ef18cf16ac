"""What each locality's leaf link may do at the hub, told from the agreements that are in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mesh.doors.subjects import only
from mesh.sharing import api_prefix, deliver_prefix, share_stream

Pair = tuple[str, str]
"""Provider and recipient, as slugs: `("da-nang", "hue")`."""


@dataclass
class Permissions:
    """What one locality's leaf link may do at the hub; nothing unless a pair allows it."""

    publish: list[str] = field(default_factory=list)
    subscribe: list[str] = field(default_factory=list)

    def as_config(self) -> dict[str, Any]:
        """Returns the permissions in the server's words, where an empty list would allow everything."""
        return {"publish": only(self.publish), "subscribe": only(self.subscribe)}


def permissions(pairs: Iterable[Pair]) -> dict[str, Permissions]:
    """Returns what each locality may do so that exactly the given pairs' share streams can be sourced.

    The recipient asks for a consumer on one stream, the provider answers and delivers, the recipient lets it go on.
    Every subject names that stream, so no locality hears what two others say to each other.
    """
    granted: dict[str, Permissions] = {}
    for provider, recipient in sorted(pairs):
        stream, api = share_stream(provider, recipient), api_prefix(provider)
        asks = [
            f"{api}.CONSUMER.CREATE.{stream}.>",
            f"{api}.CONSUMER.DELETE.{stream}.>",
            # Flow control and acks, each without and with domain and account. Without the first, sourcing works until
            # the first window is full, then stalls silently.
            *(f"$JS.FC.{stream}.>", f"$JS.FC.{provider}.*.{stream}.>"),
            *(f"$JS.ACK.{stream}.>", f"$JS.ACK.{provider}.*.{stream}.>"),
        ]
        answers = [
            f"{deliver_prefix(provider, recipient)}.>",
            f"$JSC.R.{provider}.*.{stream}.>",  # named like this only with the feature flag of `node_config`
        ]
        giver = granted.setdefault(provider, Permissions())
        taker = granted.setdefault(recipient, Permissions())
        giver.publish += answers
        giver.subscribe += asks
        taker.publish += asks
        taker.subscribe += answers
    return granted
