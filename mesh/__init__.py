"""The runtime every service stands on.

>>> from mesh import Emit, Store, rpc, subscribe
"""

from mesh.clock import Clock
from mesh.rpc import rpc
from mesh.schedule import every
from mesh.store import Document, Store
from mesh.subscribe import ALL, ANY, LOCAL, NEW, PEERS, subscribe
from mesh.work import Caller, Config, Emit

__all__ = [
    "ALL",
    "ANY",
    "LOCAL",
    "NEW",
    "PEERS",
    "Caller",
    "Clock",
    "Config",
    "Document",
    "Emit",
    "Store",
    "every",
    "rpc",
    "subscribe",
]
