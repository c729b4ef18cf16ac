"""What can be configured: `LIENTHONG_ENVIRONMENT__ALERT_INDEX=150`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mesh.config import Seconds, Section


class EnvironmentSettings(Section):
    """Air quality."""

    alert_index: Annotated[int, Field(ge=0, lt=500)] = 100
    """VN_AQI that an hour must pass to raise an alert."""
    closing_delay_s: Seconds = 600
    """Seconds after its end, and after the station was last heard of, when an hour closes by the clock."""
    clock_tolerance_s: Seconds = 900
    """Seconds that a reading may be ahead of our clock; later ones are rejected."""
