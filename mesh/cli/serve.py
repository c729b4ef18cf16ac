"""`lienthong serve`: runs services of one locality until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.cli import services
from mesh.cli.joined import joined
from mesh.cli.running import joined_settings, let_in

if TYPE_CHECKING:
    from mesh.config import Settings

_logger = logging.getLogger("lienthong.serve")

_EXAMPLE = "Example: lienthong serve examples.subscriber:Neighbour --locality hue"


def serve(
    names: Annotated[
        list[str],
        typer.Argument(metavar="SERVICE…", help="Installed services by name, or your own as module:Class."),
    ],
    locality: Annotated[str | None, typer.Option(help="Locality whose node the process joins.")] = None,
) -> None:
    """Run services of one locality, beside a running mesh or on servers of your own.

    Where `lienthong up` runs, its servers are used; LIENTHONG_MONGODB_URI and LIENTHONG_NATS_URL name others.
    SIGTERM or Ctrl-C drains: what was begun is finished and committed. A second one ends the process at once.
    """
    from mesh.json_logs import setup_logging
    from mesh.loop import run

    given = {} if locality is None else {"locality": locality}
    settings, joins = joined_settings(**given)
    setup_logging(settings.log_level, locality=settings.locality)
    logging.getLogger("nameko").setLevel(logging.WARNING)
    classes = services.find(names)
    if joins is not None:
        let_in(joins, settings, classes)
    run(_host(settings, classes, joins))


serve.__doc__ = f"{serve.__doc__}\n\n    {_EXAMPLE}"


async def _host(settings: Settings, classes: Sequence[type[Any]], joins: Path | None) -> None:
    from mesh.host import Host

    host = Host(settings, classes)
    stop = _stop_requested()
    starting = asyncio.create_task(host.start())
    await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if starting.done():
            starting.result()
            names = ", ".join(service.name for service in classes)
            address = f"{settings.grpc_host}:{host.port}"
            _logger.info("%s of %s: listening on %s", names, settings.locality, address)
            with joined(joins, settings.locality, list(host.containers), address):
                await stop
            _logger.info("draining")
    finally:
        await _end(host, starting)
    _logger.info("stopped")


async def _end(host: Any, starting: asyncio.Task[None]) -> None:
    started = starting.done() and not starting.cancelled() and starting.exception() is None
    if started:
        await host.stop()
        return
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    with contextlib.suppress(Exception):  # half-made: whatever it lacks, it holds nothing worth a drain
        async with asyncio.timeout(host.settings.runtime.drain_timeout_s):
            await host.stop()


def _stop_requested() -> asyncio.Future[None]:
    """Done at the first SIGTERM or SIGINT; the second ends the process where it stands."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[None] = loop.create_future()

    def ask(number: signal.Signals) -> None:
        if asked.done():
            os._exit(128 + number)
        asked.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number)
    return asked
