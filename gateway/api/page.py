"""The API as one page for people: all in one file, so it can be read where nothing else can be reached."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import Any

from gateway.api import markup
from gateway.api.contracts import Contracts
from gateway.api.page_events import event_section
from gateway.api.page_fields import fields_table, message_fields, types_within
from gateway.api.page_rpcs import rpc_section
from gateway.api.topics import sector_of


def page(contracts: Contracts) -> str:
    """The page as HTML. Equal contracts make equal pages."""
    services = contracts.public_services()
    events = [(sector, list(of_it)) for sector, of_it in groupby(contracts.events(), key=sector_of)]
    kinds = _kinds(contracts)
    template = Template(files("gateway.api").joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        version=markup.attribute(metadata.version("lienthong")),
        contents="".join(
            [
                *(_contents(_short(service), service.methods) for service in services),
                *(_contents(f"Events of {sector}", of_it) for sector, of_it in events),
            ]
        ),
        rpcs="".join(_service(service, contracts) for service in services),
        events="".join(_sector(sector, of_it, contracts) for sector, of_it in events),
        types="".join(_kind(kind, contracts) for kind in kinds),
    )


def _kinds(contracts: Contracts) -> list[Any]:
    """Messages and enums that the page links to; requests and events stand where they are used."""
    requests = {rpc.input_type.full_name: rpc.input_type for rpc in contracts.public_methods()}
    events = {event.full_name for event in contracts.events()}
    roots = [*requests.values(), *(rpc.output_type for rpc in contracts.public_methods()), *contracts.events()]
    return [kind for kind in types_within(roots) if kind.full_name not in {*requests, *events}]


def _contents(title: str, things: Iterable[Any]) -> str:
    links = "".join(f"<li>{markup.link(thing.full_name, thing.name)}</li>" for thing in things)
    return f"<details><summary>{markup.text(title)}</summary><ul>{links}</ul></details>"


def _service(service: Any, contracts: Contracts) -> str:
    said = markup.paragraphs(contracts.comment(service.full_name))
    rpcs = "".join(rpc_section(rpc, contracts) for rpc in service.methods)
    return f'<div class="group"><h2 id="{service.full_name}">{_short(service)}</h2>{said}{rpcs}</div>'


def _sector(sector: str, events: Iterable[Any], contracts: Contracts) -> str:
    sections = "".join(event_section(event, contracts) for event in events)
    return f'<div class="group"><h2 id="events-{sector}">Events of {markup.text(sector)}</h2>{sections}</div>'


def _kind(kind: Any, contracts: Contracts) -> str:
    said = markup.paragraphs(contracts.comment(kind.full_name))
    heading = f"{kind.name} <small>{kind.file.package.removeprefix('lienthong.')}</small>"
    if hasattr(kind, "fields"):
        return markup.section(kind.full_name, heading, said + fields_table(message_fields(kind), contracts))
    values = (
        (f"<code>{value.name}</code>", markup.text(contracts.comment(f"{kind.full_name}.{value.name}")))
        for value in kind.values
    )
    return markup.section(kind.full_name, heading, said + markup.table(("Value", "Meaning"), values))


def _short(service: Any) -> str:
    return str(service.name).removesuffix("Service")
