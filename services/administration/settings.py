"""What can be configured: `LIENTHONG_ADMINISTRATION__CLOCK_TOLERANCE_S=120`."""

from __future__ import annotations

from mesh.config import Seconds, Section


class AdministrationSettings(Section):
    """Public service."""

    clock_tolerance_s: Seconds = 60
    """Seconds that the filing of a case may be ahead of our clock; later ones are refused."""
