"""RPCs on the page: how to call each, with curl and over gRPC."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from gateway.api import markup
from gateway.api.contracts import Contracts
from gateway.api.examples import example_request
from gateway.api.operations import SERVER_SENT_EVENTS
from gateway.api.page_fields import fields_table, message_fields
from gateway.api.routes import Route, routes_of
from mesh.annotations import method_scope


def rpc_section(rpc: Any, contracts: Contracts) -> str:
    """One RPC: what it does, the scope it needs, an example, what goes in and what comes out."""
    routes = list(routes_of(rpc))
    service = rpc.containing_service.full_name
    said = markup.paragraphs(contracts.comment(rpc.full_name))
    facts = f"{markup.chip(method_scope(rpc), 'scope')} <code>/{service}/{rpc.name}</code>"
    calls = "".join(_call(route) for route in routes) or markup.paragraphs("Over gRPC only.")
    asked = fields_table(message_fields(rpc.input_type), contracts)
    answer = f"<p>Answers {_stream(rpc)}{markup.link(rpc.output_type.full_name, rpc.output_type.name)}.</p>"
    return markup.section(rpc.full_name, rpc.name, f"<p>{facts}</p>{said}{calls}{asked}{answer}")


def curl(route: Route) -> str:
    """A command that calls the RPC; it takes the address, the token and the authority from the environment."""
    made = example_request(route)
    path = route.path
    for given in route.in_path:
        path = path.replace("{" + given.name + "}", quote(str(made.parameters[given.name]), safe=""))
    query = {given.name: made.parameters[given.name] for given in route.in_query if given.name in made.parameters}
    url = path + ("?" + urlencode(query, doseq=True) if query else "")
    return " \\\n  ".join([*_options(route), f'"$EDGE{url}"', *_data(route, made.body)])


def _options(route: Route) -> list[str]:
    rpc: Any = route.rpc
    options = ["curl" + (" --no-buffer" if rpc.server_streaming else "") + ' --cacert "$CA"']
    options.append('--header "Authorization: Bearer $TOKEN"')
    if rpc.server_streaming:
        options.append(f'--header "Accept: {SERVER_SENT_EVENTS}"')
    if route.verb != ("post" if route.body else "get"):
        options.append(f"--request {route.verb.upper()}")
    return options


def _data(route: Route, body: Any) -> list[str]:
    if not route.body:
        return []
    written = json.dumps(body, ensure_ascii=False, indent=2).replace("'", "'\\''")
    return ["--header 'Content-Type: application/json'", f"--data '{written}'"]


def _call(route: Route) -> str:
    verb = markup.chip(route.verb.upper(), f"verb {route.verb}")
    path = route.path.replace("/", "/<wbr>")
    return f'<p class="route">{verb} <code>{path}</code></p>{markup.code_block(curl(route))}'


def _stream(rpc: Any) -> str:
    return "a stream of " if rpc.server_streaming else ""
