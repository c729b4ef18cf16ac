"""The embedded default: mongod, the NATS hub, a nats-server and the services of each locality as child processes."""

from mesh.stack.process import ChildEvent, ChildFailed, Happening
from mesh.stack.stack import Stack

__all__ = ["ChildEvent", "ChildFailed", "Happening", "Stack"]
