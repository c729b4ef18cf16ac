"""What can be configured: nothing so far. With this section a `LIENTHONG_HEALTH__…` nobody knows is refused by name."""

from __future__ import annotations

from mesh.config import Section


class HealthSettings(Section):
    """Public-health advice."""
