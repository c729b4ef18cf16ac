"""Small pieces of HTML. Text from contracts is escaped here, and only here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Final

_CODE: Final = re.compile(r"`([^`]+)`")


def text(said: str) -> str:
    """Text with `code` marked as such."""
    return _CODE.sub(r"<code>\1</code>", html.escape(said))


def paragraphs(said: str) -> str:
    """Text whose empty lines part paragraphs."""
    return "".join(f"<p>{text(' '.join(part.split()))}</p>" for part in said.split("\n\n") if part.strip())


def attribute(value: str) -> str:
    """A value between double quotes."""
    return html.escape(value, quote=True)


def link(anchor: str, label: str) -> str:
    """A link within the page."""
    return f'<a href="#{attribute(anchor)}">{html.escape(label)}</a>'


def chip(label: str, kind: str = "") -> str:
    """A word that stands out."""
    return f'<span class="chip {attribute(kind)}">{html.escape(label)}</span>'


def code_block(source: str) -> str:
    """Lines to be copied; they can be reached with the keyboard, as they may be wider than the screen."""
    return f'<pre tabindex="0"><code>{html.escape(source)}</code></pre>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML; on a narrow screen each row becomes a block. Empty without rows."""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return ""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def section(anchor: str, heading: str, body: str) -> str:
    """One thing that can be found by searching."""
    return f'<section id="{attribute(anchor)}" class="item"><h3>{heading}</h3>{body}</section>'
