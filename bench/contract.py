"""Messages of `bench.proto`, compiled when first imported."""

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import grpc_tools
from grpc_tools import protoc

_HERE = Path(__file__).parent
_INCLUDES = (_HERE, _HERE.parent / "protos", Path(grpc_tools.__file__).parent / "_proto")

CHANGE = "/bench.v1.BenchService/Change"
ECHO = "/bench.v1.BenchService/Echo"
NOTE = "what a change says about itself, as long as people write it: a hundred characters, more or less. "


def _compiled() -> Any:
    with tempfile.TemporaryDirectory(prefix="lienthong-bench-") as out:
        arguments = [*(f"-I{folder}" for folder in _INCLUDES), f"--python_out={out}", "bench.proto"]
        if protoc.main(["protoc", *arguments]) != 0:
            raise SystemExit("bench.proto does not compile")
        sys.path.insert(0, out)
        try:
            return importlib.import_module("bench_pb2")
        finally:
            sys.path.remove(out)


_messages = _compiled()

Changed = _messages.Changed
ChangeRequest = _messages.ChangeRequest
ChangeResponse = _messages.ChangeResponse
EchoRequest = _messages.EchoRequest


def change_request(id: str, amount: int = 1) -> bytes:
    """One change, serialized."""
    serialized: bytes = ChangeRequest(request_id=id, id=id, amount=amount, note=NOTE).SerializeToString()
    return serialized


def echo_request(id: str, amount: int = 1) -> bytes:
    """Asks for an answer, serialized."""
    serialized: bytes = EchoRequest(id=id, amount=amount, note=NOTE).SerializeToString()
    return serialized
