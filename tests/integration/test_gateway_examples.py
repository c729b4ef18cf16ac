"""The examples for integrators, as they stand, against a running edge."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.conftest import Background
from tests.edges import READ, SERVICES, WRITE, RunningEdge, running_edge, station, until
from tests.integration.test_event_gateway_at_the_edge import GATEWAY, RAISED, raise_alarm

EXAMPLES = Path(__file__).parents[2] / "examples" / "gateway"


@pytest.fixture(scope="module")
def edge(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    yield from running_edge(background, tmp_path_factory.mktemp("edge"), [*SERVICES, GATEWAY])


@pytest.fixture
def client(edge: RunningEdge) -> Iterator[httpx.Client]:
    with edge.http(edge.token(READ, WRITE)) as client:
        yield client


def environment(edge: RunningEdge, **more: str) -> dict[str, str]:
    return os.environ | {"LIENTHONG_TOKEN": edge.token(READ, "events.read")} | more


def register(client: httpx.Client, id: str) -> None:
    answer = client.put(f"/environment/v1/stations/{id}", json={"requestId": id, "station": station(id)})
    assert answer.status_code == 200, answer.text


def test_stations_are_listed(edge: RunningEdge, client: httpx.Client) -> None:
    register(client, "listed")
    command = [sys.executable, EXAMPLES / "stations.py", edge.url, "--ca", edge.ca]

    said = subprocess.run(command, env=environment(edge), capture_output=True, text=True, timeout=30, check=True)

    assert "listed\tno hour yet" in said.stdout.splitlines()


class Watching:
    """`watch.py` as a process, and the lines it prints."""

    def __init__(self, edge: RunningEdge, cursor: Path) -> None:
        command = [sys.executable, EXAMPLES / "watch.py", edge.url, "--ca", edge.ca, "--cursor", cursor]
        self.process = subprocess.Popen(command, env=environment(edge), stdout=subprocess.PIPE, text=True)

    def line(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()[1:]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=10)


def test_a_watcher_that_was_killed_goes_on_where_it_was(
    edge: RunningEdge, client: httpx.Client, tmp_path: Path
) -> None:
    cursor = tmp_path / "cursor"
    with (
        edge.http(edge.token(READ, "events.read")) as reader,
        reader.stream("GET", "/events/v1/events:subscribe") as now,
    ):
        cursor.write_text(json.loads(next(now.iter_lines()))["cursor"])
    raise_alarm(client, "before")
    first = Watching(edge, cursor)
    assert first.line() == ["hue", "before", "raised"]
    raise_alarm(client, "between")
    assert first.line() == ["hue", "between", "raised"]
    first.kill()

    raise_alarm(client, "away")
    second = Watching(edge, cursor)

    seen = [second.line()]
    if seen == [["hue", "between", "raised"]]:  # it was killed between printing and keeping its place
        seen = [second.line()]
    second.kill()
    assert seen == [["hue", "away", "raised"]]


def test_curl_alone_calls_errs_and_subscribes(edge: RunningEdge, client: httpx.Client) -> None:
    register(client, "curled")
    command = ["bash", EXAMPLES / "call.sh", edge.url, edge.ca]

    said = subprocess.run(
        command, env=environment(edge, SECONDS_OF_EVENTS="1"), capture_output=True, text=True, timeout=30, check=True
    )

    stations, _, rest = said.stdout.partition("a station nobody registered:\n")
    error, _, events = rest.partition("events, one a line:\n")
    assert "curled" in stations
    assert json.loads(error)["code"] == 5
    assert json.loads(events.splitlines()[0]).keys() == {"cursor"}


@pytest.fixture
def page() -> Iterator[str]:
    """The folder of the page, served on a port of its own, which makes the gateway another origin."""
    serve = partial(http.server.SimpleHTTPRequestHandler, directory=EXAMPLES / "page")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("no chromedriver: apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--ignore-certificate-errors"):
        options.add_argument(option)
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def test_a_page_subscribes_by_grpc_web_and_outlives_the_edge(
    edge: RunningEdge, client: httpx.Client, page: str, browser: webdriver.Chrome
) -> None:
    def shown() -> list[str]:
        return [item.get_attribute("data-key") or "" for item in browser.find_elements(By.TAG_NAME, "li")]

    browser.get(page)
    for field, text in {"gateway": edge.url, "token": edge.token(READ, "events.read"), "type": RAISED}.items():
        browser.find_element(By.ID, field).send_keys(text)
    browser.find_element(By.TAG_NAME, "button").click()
    status = browser.find_element(By.CSS_SELECTOR, "[role=status]")
    until(lambda: status.text == "listening")

    raise_alarm(client, "seen")
    until(lambda: shown() == ["seen"])
    edge.run(edge.child.kill())
    until(lambda: answers(edge))
    raise_alarm(client, "seen-after")

    until(lambda: shown() == ["seen-after", "seen"])


def answers(edge: RunningEdge) -> bool:
    try:
        return edge.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
