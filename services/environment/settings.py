"""What can be configured: `LIENTHONG_ENVIRONMENT__ALERT_INDEX=150`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mesh.config import Seconds, Section


class EnvironmentSettings(Section):
    """Air quality, dust and water."""

    alert_index: Annotated[int, Field(ge=0, lt=500)] = 100
    """VN_AQI that an hour must pass to raise an alert."""
    closing_delay_s: Seconds = 600
    """Seconds after its end, and after the station was last heard of, when an hour closes by the clock."""
    clock_tolerance_s: Seconds = 900
    """Seconds that a reading or a stage may be ahead of our clock; later ones are rejected."""
    dust_alert_index: Annotated[int, Field(ge=0, lt=500)] = 75
    """VN_AQI that an hour near road works must pass instead, where that is lower."""
    dust_radius_m: Annotated[float, Field(ge=0, le=50_000)] = 500
    """Metres around road works within which dust is expected."""
    flood_hysteresis_m: Annotated[float, Field(ge=0.001, le=10)] = 0.2
    """Metres a stage must fall below a level to end it; at most half of the smallest distance between two levels."""
    plausible_rate_m_per_h: Annotated[float, Field(ge=0.001, le=100)] = 2.0
    """Fastest plausible rise or fall of a river, in metres per hour."""
    flood_reach_m: Annotated[float, Field(ge=1, le=50_000)] = 5000
    """Metres around a water station within which its alarm concerns roads."""
