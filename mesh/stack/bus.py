"""The bus of the embedded default: the hub and one nats-server per locality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mesh.doors.subjects import Door
from mesh.identity import EXCHANGE, OPERATOR
from mesh.stack.guests import welcome
from mesh.stack.hub import Hub
from mesh.stack.nats import (
    HUB_ACCOUNT,
    Identity,
    Leaf,
    Login,
    NatsServer,
    node_config,
    node_folder,
    open_account,
    write_config,
)
from mesh.stack.nkey import kept_nkey, nkey_of
from mesh.stack.ports import Ports
from mesh.stack.process import ChildEvent
from mesh.stack.secrets import Secrets


class Bus:
    """Hub and nodes of one data folder; the servers of localities join the hub by themselves."""

    def __init__(
        self,
        localities: Sequence[str],
        data: Path,
        ports: Ports,
        secrets: Secrets,
        *,
        doors: Callable[[str], Mapping[str, Door]] | None = None,
        report: Callable[[ChildEvent], None] = lambda event: None,
    ) -> None:
        """Logs go to `data/logs`, the hub's files to `data/hub`, a locality's streams to `data/nodes/SLUG`.

        `doors` tells by principal what each may do at a locality's server. Without them one user with a password may
        do everything: for trials of the bus alone.
        """
        self._data = data
        self._ports = ports
        self._secrets = secrets
        self._report = report
        self._doors = doors
        self._leaves = {slug: kept_nkey(node_folder(data, slug) / "leaf.nk", slug) for slug in localities}
        self.hub = Hub(
            data / "hub",
            ports["hub"],
            ports["hub.leaf"],
            kept_nkey(data / "hub" / "admin.nk", "admin"),
            self._leaves,
            log=data / "logs" / "hub.log",
            report=report,
        )
        self.nodes = {slug: self._node(slug) for slug in localities}

    async def start(self) -> None:
        """Starts the hub, then the localities' servers. Raises ChildFailed."""
        await self.hub.start()
        for node in self.nodes.values():
            await node.child.start()

    async def stop(self) -> None:
        """Stops the localities' servers, then the hub."""
        for node in reversed(self.nodes.values()):
            await node.child.stop()
        await self.hub.server.child.stop()

    def store(self, locality: str) -> Path:
        """Returns the folder of the locality's streams; it may be removed while its server is down."""
        return node_folder(self._data, locality) / "jetstream"

    def _node(self, slug: str) -> NatsServer:
        name = f"{slug}.nats"
        port, (login, accounts) = self._ports[name], self._accounts(slug)
        config = node_folder(self._data, slug) / "nats.conf"
        leaf = Leaf(self.hub.leaf_port, self._leaves[slug], HUB_ACCOUNT if self._doors is None else EXCHANGE)
        write_config(config, node_config(slug, port, self.store(slug), accounts, domain=slug, leaf=leaf))
        log = self._data / "logs" / f"{name}.log"
        return NatsServer(name, config, port, login, log=log, report=self._report)

    def _accounts(self, slug: str) -> tuple[Identity, dict[str, Any]]:
        """Who asks whether the server is ready, and the accounts of all who may log in."""
        if self._doors is None:
            everybody = Login("services", self._secrets[f"services.{slug}"])
            return everybody, open_account(everybody)
        return nkey_of(self._data / "credentials" / slug, OPERATOR), welcome(self._data, slug, self._doors(slug))
