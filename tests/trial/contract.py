"""Messages of `trial.proto`, compiled when first imported."""

import importlib
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

_HERE = Path(__file__).parent
_PROTOS = _HERE.parents[1] / "protos"
_WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


def _compile() -> None:
    out = tempfile.mkdtemp(prefix="lienthong-trial-")
    arguments = [
        f"-I{_HERE}",
        f"-I{_PROTOS}",
        f"-I{_WELL_KNOWN}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        "trial.proto",
    ]
    assert protoc.main(["protoc", *arguments]) == 0, "trial.proto does not compile"
    sys.path.insert(0, out)


_compile()
_messages = importlib.import_module("trial_pb2")
_stubs = importlib.import_module("trial_pb2_grpc")
ForwardingServiceStub = _stubs.ForwardingServiceStub
TrialServiceStub = _stubs.TrialServiceStub

AmountForgotten = _messages.AmountForgotten
AmountRecorded = _messages.AmountRecorded
GetTotalRequest = _messages.GetTotalRequest
GetTotalResponse = _messages.GetTotalResponse
RecordRequest = _messages.RecordRequest
RecordResponse = _messages.RecordResponse
