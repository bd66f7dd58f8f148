"""Where rows belong: in which organization and mail server."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from postal_server.models import Organization, Server
from postal_server.rules.access import Place


def place_of(row: Model) -> Place:
    """The place of an organization, a mail server, or what belongs to one of them; else the installation."""
    if isinstance(row, Organization):
        return Place(row.pk)
    if isinstance(row, Server):
        return Place(row.organization_id, row.pk)
    owner: Any = getattr(row, "server", None) or getattr(row, "organization", None)
    return place_of(owner) if owner is not None else Place()
