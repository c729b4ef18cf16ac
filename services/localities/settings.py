"""What can be configured: nothing so far. With this section an unknown `LIENTHONG_LOCALITIES__…` is refused by name."""

from __future__ import annotations

from mesh.config import Section


class LocalitiesSettings(Section):
    """The registry of localities."""
