"""What can be configured: `LIENTHONG_TRANSPORT__AIR_REACH_M=5000`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mesh.config import Seconds, Section


class TransportSettings(Section):
    """Roads."""

    air_reach_m: Annotated[float, Field(ge=1, le=50_000)] = 3000
    """How far around a station its bad air restricts heavy vehicles, in metres."""
    clock_tolerance_s: Seconds = 900
    """Seconds that a congested hour may begin ahead of our clock; later ones are rejected."""
