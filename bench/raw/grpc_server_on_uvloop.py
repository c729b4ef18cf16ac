"""The bare `grpc.aio` server, on the event loop of our own processes."""

from uvloop import run as run

from bench.raw.grpc_server import main as main
