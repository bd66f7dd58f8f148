"""Mail servers of an organization."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.text import slugify

from postal_server.models import Organization, Server
from postal_server.rules.access import Place
from postal_server.services.operations.context import OperationContext
from postal_server.services.operations.provisioning import spam_thresholds

from . import rows
from .rows import Values

OF_ADMINS = (
    "name",
    "mode",
    "ip_pool",
    "postmaster_address",
    "spam_threshold",
    "spam_failure_threshold",
    "outbound_spam_threshold",
    "allow_sender",
    "privacy_mode",
    "log_smtp_data",
    "message_retention_days",
    "raw_message_retention_days",
    "raw_message_retention_size",
    "suppressed_as",
    "stream_from",
)
# What keeps a customer within what was agreed.
OF_ADMINISTRATORS = (*OF_ADMINS, "permalink", "send_limit", "suspended_at", "suspension_reason")


def visible(context: OperationContext) -> QuerySet[Server]:
    """Those that the actor may know of, by organization and name."""
    found = Server.objects.filter(deleted_at=None, organization__deleted_at=None)
    return rows.in_places_of(found.select_related("organization"), context, "organization", server="pk")


def create(organization: Organization, values: Values, context: OperationContext) -> Server:
    """A new mail server without credentials: its permalink is made of its name unless given."""
    permalink = slugify(str(values.get("name") or ""))[:100]
    given = {"permalink": permalink, **spam_thresholds(context.config), **values}
    takes = (*_takes(context), "permalink")
    place = Place(organization.pk)
    return rows.create(Server(organization=organization), given, context, takes=takes, place=place)


def change(server: Server, values: Values, context: OperationContext, version: str | None = None) -> Server:
    """Its settings by an admin; its permalink, send limit and suspension by an administrator."""
    return rows.change(server, values, context, takes=_takes(context), version=version)


def _takes(context: OperationContext) -> tuple[str, ...]:
    return OF_ADMINISTRATORS if context.actor.is_administrator else OF_ADMINS
