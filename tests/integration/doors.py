"""A locality as its doors are tried: real servers without services, and everybody's own way in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from mesh.bus import login
from mesh.stack import Stack
from tests.hosts import eventually

HERE, THERE = "da-nang", "hue"
NO_RESPONDERS = "503"
FENCE = "closed.to.everybody"


@dataclass
class Tried:
    """What came of knocking at some subjects."""

    refused: set[str] = field(default_factory=set)
    """Subjects the server refused, in lower case, as nats-py tells them."""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What came back on the reply subject, by subject knocked at; where nobody listens, nothing."""
    unheard: set[str] = field(default_factory=set)
    """Subjects nobody listens at: another account's, not imported."""

    def open(self, knocked: Iterable[str]) -> set[str]:
        """The subjects that were not refused."""
        return {subject for subject in knocked if subject.lower() not in self.refused}

    def heard(self, knocked: Iterable[str]) -> set[str]:
        """The subjects that were not refused, and at which somebody listens."""
        return self.open(knocked) - self.unheard


class Knocker:
    """One principal at a locality's NATS server."""

    def __init__(self, name: str, client: Client, tried: Tried) -> None:
        self.name = name
        self.client = client
        self._tried = tried

    async def publish(self, requests: Mapping[str, bytes], *, answered: bool = False) -> Tried:
        """Sends each payload to its subject; with `answered` waits until each was refused or answered."""
        self._tried.refused.clear()
        self._tried.answers.clear()
        self._tried.unheard.clear()
        subjects = list(requests)
        inbox = self.client.new_inbox()

        async def take(message: Msg) -> None:
            knocked = subjects[int(message.subject.rpartition(".")[2])]
            if (message.headers or {}).get("Status") == NO_RESPONDERS:
                self._tried.unheard.add(knocked)
            self._tried.answers[knocked] = json.loads(message.data) if message.data[:1] == b"{" else {}

        subscription = await self.client.subscribe(f"{inbox}.*", cb=take)
        for number, subject in enumerate(subjects):
            await self.client.publish(subject, requests[subject], reply=f"{inbox}.{number}")
        await self._all_heard()
        if answered:
            await eventually(lambda: self._tried.open(subjects) <= self._tried.answers.keys())
        await subscription.unsubscribe()
        return self._tried

    async def subscribe(self, subjects: Iterable[str]) -> Tried:
        """Subscribes to each subject and ends it again."""
        self._tried.refused.clear()
        made = {subject: await self.client.subscribe(subject) for subject in subjects}
        await self._all_heard()
        for subject in self._tried.open(made):
            await made[subject].unsubscribe()
        return self._tried

    async def _all_heard(self) -> None:
        """Returns when the server has judged everything sent so far: it judges in order, and nobody may say this."""
        await self.client.publish(FENCE, b"")
        await eventually(lambda: FENCE in self._tried.refused)
        self._tried.refused.discard(FENCE)


@asynccontextmanager
async def knocker(
    stack: Stack, principal: str, locality: str = HERE, *, credentials: Path | None = None
) -> AsyncIterator[Knocker]:
    """Logs in as a principal of a locality, with its own seed or the one in other credentials."""
    tried = Tried()

    async def refused(error: Exception) -> None:
        said = str(error)
        if "permissions violation" in said:
            tried.refused.add(said.split('"')[1])

    client = await nats.connect(
        stack.nats_url(locality), **login(credentials or stack.credentials(locality), principal), error_cb=refused
    )
    try:
        yield Knocker(principal, client, tried)
    finally:
        await client.close()
