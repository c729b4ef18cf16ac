"""The page for people."""

import re
import shlex
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from gateway.api.contracts import Contracts
from gateway.api.documents import DOCUMENTS, document, write_documents
from gateway.api.page import page
from gateway.api.page_rpcs import curl
from gateway.api.routes import routes_of

_VOID = {"meta", "link", "input", "wbr", "br"}


@pytest.fixture(scope="module")
def shown(contracts: Contracts) -> str:
    return page(contracts)


class _Balance(HTMLParser):
    """Which elements are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_is_well_formed(shown: str) -> None:
    parser = _Balance()
    parser.feed(shown)

    assert parser.open == []


def test_it_needs_nothing_from_elsewhere(shown: str) -> None:
    """It is read in places where nothing else can be reached."""
    loaded = re.findall(r'<(?:script|img|iframe)[^>]+src=|<link[^>]+href="(?!data:)|url\(|@import', shown)

    assert loaded == []


def test_every_rpc_event_and_type_that_is_linked_is_there(shown: str) -> None:
    anchors = set(re.findall(r'id="([^"]+)"', shown))
    links = set(re.findall(r'href="#([^"]+)"', shown))

    assert links - anchors == set()


def test_every_rpc_and_event_has_its_section(contracts: Contracts, shown: str) -> None:
    names = [rpc.full_name for rpc in contracts.public_methods()] + [event.full_name for event in contracts.events()]

    assert [name for name in names if f'<section id="{name}"' not in shown] == []


def test_each_call_is_shown_as_a_command(contracts: Contracts, shown: str) -> None:
    """A shell reads it as one command whose URL has no variables left."""
    for rpc in contracts.public_methods():
        for route in routes_of(rpc):
            words = shlex.split(curl(route))
            (url,) = (word for word in words if word.startswith("$EDGE"))
            assert words[0] == "curl"
            assert "{" not in url
            assert curl(route) in unescape(shown)


def test_personal_fields_stand_out(shown: str) -> None:
    section = shown.partition('<section id="lienthong.administration.v1.AdministrationService.FileFieldReport"')[2]

    assert "PERSONAL" in section.partition("</section>")[0]


def test_documents_are_written_for_the_edge(tmp_path: Path) -> None:
    written = write_documents(tmp_path / "api")

    assert [path.name for path in written] == ["openapi.json", "asyncapi.json", "docs.html"]
    assert [path.read_text("utf-8") for path in written] == [document(name) for name in DOCUMENTS]
    described = FileDescriptorSet.FromString((tmp_path / "api" / "descriptors.pb").read_bytes())
    services = {service.name for file in described.file for service in file.service}
    assert "EventGateway" in services
    assert not services & {"ExchangeService", "NodeService"}


def test_an_event_tells_the_scopes_that_a_subscriber_needs(shown: str) -> None:
    section = shown.partition('<section id="lienthong.environment.v1.AirQualityAlertRaised"')[2].partition(
        "</section>"
    )[0]

    assert "<code>events.read</code> and <code>environment.read</code>" in section
