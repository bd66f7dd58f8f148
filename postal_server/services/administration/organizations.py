"""Organizations: the customers of the installation."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.text import slugify

from postal_server.models import IPPool, Organization
from postal_server.rules.access import Action, Place
from postal_server.services.operations.context import OperationContext

from . import rows
from .rows import Values

OF_OWNERS = ("name", "time_zone")
OF_ADMINISTRATORS = (*OF_OWNERS, "permalink", "ip_pools", "suspended_at", "suspension_reason")


def visible(context: OperationContext) -> QuerySet[Organization]:
    """Those that the actor may know of, by name."""
    found = Organization.objects.filter(deleted_at=None)
    return rows.in_places_of(found, context, "pk", server="servers").distinct()


def create(values: Values, context: OperationContext) -> Organization:
    """A new organization: its permalink is made of its name, its pools are the default ones, unless given."""
    given = {
        "permalink": slugify(str(values.get("name") or ""))[:100],
        "ip_pools": IPPool.objects.filter(default=True),
        **values,
    }
    return rows.create(
        Organization(), given, context, takes=OF_ADMINISTRATORS, action=Action.ADMINISTER, place=Place()
    )


def suspension(reason: str | None, context: OperationContext) -> Values:
    """What `change` is given to suspend an organization or a mail server, or, without a reason, to resume it.

    Its mail is held, and what its applications send is refused. The reason may be an empty text.
    """
    suspended_at = None if reason is None else context.now
    return {"suspended_at": suspended_at, "suspension_reason": reason or ""}


def change(
    organization: Organization, values: Values, context: OperationContext, version: str | None = None
) -> Organization:
    """Its name and time zone by an owner; all else by an administrator."""
    takes = OF_ADMINISTRATORS if context.actor.is_administrator else OF_OWNERS
    return rows.change(organization, values, context, takes=takes, action=Action.OWN, version=version)
