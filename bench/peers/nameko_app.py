"""The same job in nameko over RabbitMQ with MongoEngine: an RPC saves and dispatches, an event handler saves.

Both services in one process, as the peers have it. nameko hosts them on eventlet, which patches the interpreter, so
this process talks to the measurement from a real thread.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

import mongoengine  # noqa: E402
from eventlet import tpool  # noqa: E402
from mongoengine import IntField, StringField  # noqa: E402
from nameko.events import EventDispatcher, event_handler  # noqa: E402
from nameko.rpc import rpc  # noqa: E402
from nameko.runners import ServiceRunner  # noqa: E402

from bench.processes import Link  # noqa: E402

WORKERS = 64
DURABLE = {"w": "majority", "j": True}


class Change(mongoengine.Document):
    """What was recorded."""

    id = StringField(primary_key=True)
    amount = IntField(required=True)
    note = StringField()
    meta = {"collection": "changes"}


class Consequence(mongoengine.Document):
    """What a change brought about."""

    id = StringField(primary_key=True)
    amount = IntField(required=True)
    note = StringField()
    meta = {"collection": "consequences"}


class ChangeService:
    """Records changes."""

    name = "changes"
    dispatch = EventDispatcher()

    @rpc
    def change(self, id: str, amount: int, note: str) -> dict[str, Any]:
        Change(id=id, amount=amount, note=note).save(force_insert=True, write_concern=DURABLE)
        self.dispatch("changed", {"id": id, "amount": amount, "note": note})
        return {"id": id, "amount": amount}


class ConsequenceService:
    """Does one thing for each change."""

    name = "consequences"

    @event_handler("changes", "changed")
    def follow(self, payload: dict[str, Any]) -> None:
        Consequence(**payload).save(force_insert=True, write_concern=DURABLE)


def main(link: Link, mongodb: str, amqp: str) -> None:
    """Runs both services until the measurement ends."""
    mongoengine.connect("peer", host=mongodb.replace("/?", "/peer?"), authentication_source="admin")
    runner = ServiceRunner(config={"AMQP_URI": amqp, "max_workers": WORKERS})
    runner.add_service(ChangeService)
    runner.add_service(ConsequenceService)
    runner.start()
    link.say()
    while line := tpool.execute(sys.stdin.buffer.readline):
        link.say(unknown=json.loads(line)["ask"])
    runner.stop()
