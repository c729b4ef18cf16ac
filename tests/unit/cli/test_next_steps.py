"""What `lienthong up` says can be done next."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from mesh.cli.next_steps import next_steps

EDGE = "https://localhost:21443"


def shown(folder: Path, edge: str | None) -> str:
    """What people see."""
    console = Console(width=400)
    with console.capture() as captured:
        console.print(next_steps(["hue"], folder, edge=edge))
    return captured.get()


def test_an_outsider_is_given_a_line_to_copy(tmp_path: Path) -> None:
    """Address, authority and a token: all it takes."""
    text = shown(tmp_path, EDGE)

    assert f"curl --cacert {tmp_path}/credentials/ca.pem" in text
    assert "token --subject me --scope environment.read --locality hue" in text
    assert f"{EDGE}/docs" in text


def test_without_an_edge_nothing_is_said_of_it(tmp_path: Path) -> None:
    """A mesh without a gateway has only an inside."""
    assert "curl" not in shown(tmp_path, None)
