"""Public service of one locality: what can be asked of it, and which events it follows."""

from __future__ import annotations

from mesh import Clock, Config, Emit, Here, Store
from services.administration.settings import AdministrationSettings


class AdministrationService:
    """Cases, permits, field reports and notices of one locality."""

    name = "administration"
    store = Store()
    emit = Emit()
    clock = Clock()
    here = Here()
    settings = Config(AdministrationSettings)
