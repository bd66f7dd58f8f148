"""Webhooks of mail servers: who is told what becomes of mail."""

from __future__ import annotations

from django.db.models import QuerySet

from postal_server.errors import InvalidValues
from postal_server.models import Server, Webhook
from postal_server.services.operations.context import OperationContext
from postal_server.wire.our_events import OUR_EVENTS
from postal_server.wire.webhook import SUBSCRIBABLE

from . import rows
from .audit import without_user_info
from .rows import Values

EVENTS = (*SUBSCRIBABLE, *OUR_EVENTS)
TAKES = ("name", "url", "enabled", "all_events", "events", "beyond_postal")


def visible(context: OperationContext) -> QuerySet[Webhook]:
    """Those that the actor may know of, in the order they were made in."""
    found = Webhook.objects.select_related("server__organization").order_by("pk")
    return rows.in_places_of(found, context, "server__organization", server="server")


def create(server: Server, values: Values, context: OperationContext) -> Webhook:
    """A new webhook. Its name is its URL, without a password, unless one is given."""
    _check_events(values)
    given = {"name": without_user_info(str(values.get("url") or ""))[:255], **values}
    return rows.create(Webhook(server=server), given, context, takes=TAKES)


def change(
    webhook: Webhook, values: Values, context: OperationContext, version: str | None = None
) -> Webhook:
    """Enabled again, it gets what still waits for it."""
    _check_events(values)
    return rows.change(
        webhook, values, context, takes=TAKES, version=version, before_saving=_without_old_reason
    )


def delete(webhook: Webhook, context: OperationContext) -> None:
    """What waits for it is dropped."""
    rows.delete(webhook, context)


def _without_old_reason(webhook: Webhook) -> None:
    if webhook.enabled:
        webhook.disabled_reason = ""


def _check_events(values: Values) -> None:
    unknown = [name for name in values.get("events", ()) if name not in EVENTS]
    if unknown:
        raise InvalidValues({"events": [f"There is no event {name}." for name in unknown]})
