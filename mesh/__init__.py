"""The runtime every service stands on.

>>> from mesh import Emit, Store, rpc, subscribe
"""

import warnings

# nameko imports eventlet, which says on import that it is in maintenance. It never runs here (ADR-0001).
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

from mesh.clock import Clock  # noqa: E402  # the filter must come before nameko is imported
from mesh.rpc import rpc  # noqa: E402
from mesh.schedule import every  # noqa: E402
from mesh.sector_client import Client  # noqa: E402
from mesh.store import Document, Store  # noqa: E402
from mesh.subscribe import ALL, ANY, LOCAL, NEW, PEERS, subscribe  # noqa: E402
from mesh.work import Caller, Config, Emit, Here  # noqa: E402

__all__ = [
    "ALL",
    "ANY",
    "LOCAL",
    "NEW",
    "PEERS",
    "Caller",
    "Client",
    "Clock",
    "Config",
    "Document",
    "Emit",
    "Here",
    "Store",
    "every",
    "rpc",
    "subscribe",
]
