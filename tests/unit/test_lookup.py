"""Which RPCs may be asked from another locality, and which contracts cannot say so."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from lienthong.environment.v1 import ListStationsRequest, ListStationsResponse
from lienthong.mesh.v1 import method as method_options
from mesh.contracts import service_descriptor
from mesh.errors import ContractError
from mesh.lookup import find_lookup, find_rpc, lookup_of

_F = descriptor_pb2.FieldDescriptorProto
_numbers = itertools.count()

Change = Callable[[descriptor_pb2.FileDescriptorProto], Any]


def declared(change: Change = lambda file: None, *, lookup: bool = True) -> Any:
    """The RPC of a contract that is a sound lookup, but for `change`."""
    package = f"lienthong.asked{next(_numbers)}.v1"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.append("lienthong/mesh/v1/annotations.proto")
    _text(file.message_type.add(name="GetRequest"), "locality", _F.LABEL_OPTIONAL)
    _text(file.message_type.add(name="GetResponse"), "withheld", _F.LABEL_REPEATED)
    method = file.service.add(name="AskedService").method.add(name="Get")
    method.input_type, method.output_type = f".{package}.GetRequest", f".{package}.GetResponse"
    method.options.Extensions[method_options].scope = "asked.read"
    method.options.Extensions[method_options].lookup = lookup
    change(file)
    pool = descriptor_pool.Default()
    added = pool.AddSerializedFile(file.SerializeToString()) or pool.FindFileByName(file.name)
    return added.services_by_name["AskedService"].methods_by_name["Get"]


def _text(message: descriptor_pb2.DescriptorProto, name: str, label: Any) -> None:
    message.field.add(name=name, number=len(message.field) + 1, type=_F.TYPE_STRING, label=label)


def test_a_lookup_knows_whom_to_ask_and_what_that_takes() -> None:
    found = find_lookup("lienthong.environment.v1.EnvironmentService/ListStations")

    assert found is not None
    assert (found.service, found.method, found.scope) == ("environment", "ListStations", "environment.read")
    assert (found.request, found.response) == (ListStationsRequest, ListStationsResponse)


def test_an_rpc_that_is_not_declared_one_is_no_lookup() -> None:
    assert lookup_of(declared(lookup=False)) is None
    assert find_lookup("lienthong.environment.v1.EnvironmentService/RecordReadings") is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "ListStations",
        "lienthong.environment.v1.EnvironmentService",
        "lienthong.environment.v1.EnvironmentService/",
        "lienthong.environment.v1.EnvironmentService/listStations",
        "lienthong.environment.v1.EnvironmentService.ListStations",
        "/lienthong.environment.v1.EnvironmentService/ListStations",
        "lienthong.environment.v1.Nothing/ListStations",
        "..x/y",
    ],
)
def test_a_name_no_contract_has_is_found_nowhere(name: str) -> None:
    assert find_rpc(name) is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda file: setattr(file.service[0].method[0], "server_streaming", True), "it streams"),
        (lambda file: setattr(file.service[0].method[0], "client_streaming", True), "it streams"),
        (lambda file: _text(file.message_type[0], "request_id", _F.LABEL_OPTIONAL), "it takes a request_id"),
        (lambda file: file.message_type[0].ClearField("field"), "has no field `string locality`"),
        (lambda file: setattr(file.message_type[0].field[0], "type", _F.TYPE_BYTES), "has no field `string locality`"),
        (
            lambda file: setattr(file.message_type[0].field[0], "label", _F.LABEL_REPEATED),
            "has no field `string locality`",
        ),
        (lambda file: file.message_type[1].ClearField("field"), "has no field `repeated string withheld`"),
        (
            lambda file: setattr(file.message_type[1].field[0], "label", _F.LABEL_OPTIONAL),
            "has no field `repeated string withheld`",
        ),
    ],
)
def test_a_contract_that_cannot_be_one_is_refused_at_start_up(change: Change, complaint: str) -> None:
    with pytest.raises(ContractError, match=rf"AskedService\.Get is declared a lookup, but .*{complaint}"):
        lookup_of(declared(change))


def test_the_lookups_of_all_sectors_are_sound() -> None:
    """A read each, under the scope of their sector's readers."""
    described = descriptor_pb2.FileDescriptorSet.FromString((files("lienthong") / "descriptors.pb").read_bytes())
    contracts = [f"{file.package}.{service.name}" for file in described.file for service in file.service]

    methods = [method for contract in contracts for method in service_descriptor(contract).methods]
    lookups = [lookup for method in methods if (lookup := lookup_of(method))]

    assert {lookup.name.rpartition(".")[2] for lookup in lookups} >= {"EnvironmentService/ListStations"}
    assert all(lookup.scope == f"{lookup.service}.read" for lookup in lookups)
