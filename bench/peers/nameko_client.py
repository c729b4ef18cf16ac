"""Puts load on the nameko peer: greenlets of one process, as many calls in flight as greenlets."""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

from eventlet import tpool  # noqa: E402
from nameko.standalone.rpc import ClusterRpcProxy  # noqa: E402

from bench.contract import NOTE  # noqa: E402
from bench.processes import Link  # noqa: E402


def main(link: Link, amqp: str) -> None:
    """Calls as it is asked to, until the measurement ends."""
    link.say()
    while line := tpool.execute(sys.stdin.buffer.readline):
        question = json.loads(line)
        link.say(**_load(amqp, question["prefix"], question["seconds"], question["in_flight"]))


def _load(amqp: str, prefix: str, seconds: float, in_flight: int) -> dict[str, float]:
    """Keeps as many calls in flight through one proxy; each answer is followed by the next call."""
    count = 0
    with ClusterRpcProxy({"AMQP_URI": amqp}) as cluster:
        began = time.time()
        waiting = []
        while time.time() < began + seconds:
            while len(waiting) < in_flight:
                waiting.append(cluster.changes.change.call_async(f"{prefix}-{count}", 1, NOTE))
                count += 1
            waiting.pop(0).result()
        for reply in waiting:
            reply.result()
    return {"calls": count, "began": began, "ended": time.time()}
