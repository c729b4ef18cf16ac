"""A channel that goes on through renewals of its certificate.

The certificate of a gRPC channel is fixed when it is opened. When the files have changed, calls from then on go
through a new channel; the old one is closed as soon as the calls on it have ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import grpc
import grpc.aio

from mesh.ending import end
from mesh.tls import Tls

_LOOK_EVERY_S: Final = 1.0
_LONGEST_CALL_S: Final = 7 * 86400.0
"""Streams may last; this only keeps a forgotten one from holding a connection for ever."""


class RenewingChannel(grpc.aio.Channel):
    """As a channel of `grpc.aio`. Used on one event loop."""

    def __init__(self, target: str, tls: Tls, options: Sequence[tuple[str, Any]]) -> None:
        self.tls = tls
        self._target = target
        self._options = [*options, *tls.options()]
        self._certified = tls.files.latest()
        self._channel = self._open()
        self._look_at = 0.0
        self._retired: dict[grpc.aio.Channel, asyncio.Task[None]] = {}

    def current(self) -> grpc.aio.Channel:
        """Returns the channel for a call begun now."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            latest = self.tls.files.latest()
            if latest is not self._certified:
                self._certified = latest
                self._retire(self._channel)
                self._channel = self._open()
        return self._channel

    def unary_unary(self, *method: Any, **options: Any) -> Any:
        return _Method(self, "unary_unary", method, options)

    def unary_stream(self, *method: Any, **options: Any) -> Any:
        return _Method(self, "unary_stream", method, options)

    def stream_unary(self, *method: Any, **options: Any) -> Any:
        return _Method(self, "stream_unary", method, options)

    def stream_stream(self, *method: Any, **options: Any) -> Any:
        return _Method(self, "stream_stream", method, options)

    async def close(self, grace: float | None = None) -> None:
        channels = [self._channel, *self._retired]
        await asyncio.gather(*(channel.close(grace) for channel in channels))
        await end(self._retired.values())

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self.current().channel_ready()

    async def __aenter__(self) -> RenewingChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _open(self) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(self._target, self.tls.credentials(self._certified), options=self._options)

    def _retire(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.get_running_loop().create_task(channel.close(_LONGEST_CALL_S), name="retired channel")
        self._retired[channel] = task
        task.add_done_callback(lambda _: self._retired.pop(channel, None))


class _Method:
    """A method of whatever channel is the current one."""

    def __init__(self, owner: RenewingChannel, kind: str, method: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._owner = owner
        self._kind, self._method, self._options = kind, method, options
        self._channel: grpc.aio.Channel | None = None
        self._call: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        channel = self._owner.current()
        if channel is not self._channel:
            self._channel = channel
            self._call = getattr(channel, self._kind)(*self._method, **self._options)
        return self._call(*args, **kwargs)
