"""The bus of the embedded default: the hub and one nats-server per locality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mesh.stack.hub import Hub
from mesh.stack.nats import Leaf, Login, NatsServer, node_config, write_config
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
        report: Callable[[ChildEvent], None] = lambda event: None,
    ) -> None:
        """Logs go to `data/logs`, the hub's files to `data/hub`, a locality's streams to `data/nodes/SLUG`."""
        self._data = data
        self._ports = ports
        self._secrets = secrets
        self._report = report
        self._leaves = {slug: Login(slug, secrets[f"leaf.{slug}"]) for slug in localities}
        self.hub = Hub(
            data / "hub",
            ports["hub"],
            ports["hub.leaf"],
            Login("admin", secrets["hub.admin"]),
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
        return self._data / "nodes" / locality / "jetstream"

    def _node(self, slug: str) -> NatsServer:
        name = f"{slug}.nats"
        port, login = self._ports[name], Login("services", self._secrets[f"services.{slug}"])
        config = self._data / "nodes" / slug / "nats.conf"
        leaf = Leaf(self.hub.leaf_port, self._leaves[slug])
        write_config(config, node_config(slug, port, self.store(slug), login, domain=slug, leaf=leaf))
        log = self._data / "logs" / f"{name}.log"
        return NatsServer(name, config, port, login, log=log, report=self._report)
