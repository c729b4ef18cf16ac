"""Settings of the exchange: `LIENTHONG_EXCHANGE__…`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ExchangeSettings(BaseModel):
    """What an operator may tune at the border."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    quarantine_keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days a quarantined event is kept for inspection."""

    admitted_keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days within which an event that arrives again is recognised, whatever number it carries."""
    lookups_keep_days: Annotated[int, Field(ge=1, le=3650)] = 730
    """Days it is remembered who looked up what here."""
    receipts_every_s: Annotated[float, Field(gt=0, le=3600)] = 5
    """Seconds between two reports to a provider of how far its events are committed here."""
