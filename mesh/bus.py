"""A process's connections to its node's NATS server: one per service, each with the service's own nkey."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from mesh.config import Settings
from mesh.errors import ConfigurationError

_logger = logging.getLogger(__name__)

OWN_API: Final = "$JS.API"
"""The JetStream API of one's own account."""

_LONGEST_WAIT_S = 2.0
_ANSWER_WITHIN_S = 5.0
_REFUSED = "permissions violation"
"""What nats-py calls a subject the server refuses."""


@dataclass(frozen=True, slots=True)
class Account:
    """Streams as somebody reaches them: their own, or those of another service's account as far as it lets them in."""

    nats: Client
    api: str = OWN_API
    """Subjects under which that account's JetStream API is asked."""

    @property
    def jetstream(self) -> JetStreamContext:
        """Declares and asks for streams and consumers there."""
        return self.nats.jetstream(prefix=self.api, timeout=_ANSWER_WITHIN_S)

    async def pull(self, stream: str, consumer: str, wish: Mapping[str, Any], inbox: str) -> None:
        """Asks a consumer for messages, which then come to the inbox; `wish` is the body of the request."""
        await self.nats.publish(
            f"{self.api}.CONSUMER.MSG.NEXT.{stream}.{consumer}", json.dumps(wish).encode(), reply=inbox
        )


def api_of(service: str) -> str:
    """Where the JetStream API of a service's account is asked from another one, which imports it (ADR-0027)."""
    return f"api.{service}"


def inbox_prefix(principal: str) -> str:
    """Where answers to a principal arrive: nobody else may listen there."""
    return f"_INBOX.{principal}"


def seed_file(credentials: Path, principal: str) -> Path:
    """File with the nkey seed of a principal."""
    return credentials / principal / "nats.nk"


def login(credentials: Path, principal: str) -> dict[str, Any]:
    """What `nats.connect` must be given to be that principal. Raises ConfigurationError naming a missing seed."""
    seed = seed_file(credentials, principal)
    if not seed.is_file():
        raise ConfigurationError(f"{seed}: there is no nkey seed, so {principal} cannot log in at NATS")
    return {"nkeys_seed": str(seed), "inbox_prefix": inbox_prefix(principal)}


async def connect(
    settings: Settings, instance: str, service: str, reconnected: Callable[[], Awaitable[None]]
) -> Client:
    """Connects as a service, waiting for the server as long as it takes; as nobody in particular where insecure."""
    wait = 0.1
    while True:
        try:
            return await nats.connect(
                settings.nats_url,
                **_identity(settings, service),
                name=f"{instance} {service}".strip(),
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,
                ping_interval=10,
                max_outstanding_pings=2,
                pending_size=32 << 20,
                error_cb=_teller(service),
                reconnected_cb=reconnected,
            )
        except (TimeoutError, OSError, NatsError) as error:
            _logger.warning("%s waits for NATS: %s", service or instance, type(error).__name__)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)


def _identity(settings: Settings, service: str) -> dict[str, Any]:
    folder = settings.credentials_folder()
    if folder is not None:
        return login(folder, service)
    password = settings.nats_password
    return {"user": settings.nats_user, "password": password.get_secret_value() if password else None}


def _teller(service: str) -> Callable[[Exception], Awaitable[None]]:
    """Logs what goes wrong on a connection. A refusal is a fault in a declaration or worse, and names the subject."""

    async def tell(error: Exception) -> None:
        if _REFUSED in str(error):
            _logger.error("NATS refuses %s what it did not declare: %s", service or "this process", error)
        else:
            _logger.warning("NATS: %s", type(error).__name__)

    return tell
