"""Write down who did what, in the transaction that does it, and show it. Secrets are left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Field, Model
from django.db.models.fields.related import ManyToManyField

from postal_server.models import AuditEntry
from postal_server.services.operations.context import OperationContext

from .place import place_of

KEPT = timedelta(days=400)
STEP = 1000  # rows a transaction
SECRETS = frozenset(
    {"dkim_private_key", "dkim_ed25519_private_key", "key_digest", "key_encrypted", "password"}
)
NAME_CHARACTERS = 255


def values_of(row: Model) -> dict[str, Any]:
    """The values of a row as JSON has them, without secrets. Related rows are their ids."""
    fields = [field for field in row._meta.concrete_fields if field.name not in SECRETS]
    values = {field.name: _json(field, getattr(row, field.attname)) for field in fields}
    if row.pk is not None:
        values |= {field.name: _ids(field, row) for field in row._meta.many_to_many}
    return values


def _ids(field: ManyToManyField[Any, Any], row: Model) -> list[int]:
    return sorted(getattr(row, field.name).values_list("pk", flat=True))


def _json(field: Field[Any, Any], value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, list, dict)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return without_user_info(text) if field.name == "url" else text


def without_user_info(url: str) -> str:
    """A URL whose user and password, if it has any, are three asterisks."""
    parts = urlsplit(url)
    _, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"***@{host}").geturl() if at else url


def note(
    action: str,
    row: Model,
    context: OperationContext,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down that this was done to a row, in the caller's transaction; of the values what differs."""
    was, is_now = before or {}, after or {}
    changed = {name for name in was.keys() | is_now.keys() if was.get(name) != is_now.get(name)}
    place = place_of(row)
    AuditEntry.objects.create(
        at=context.now,
        actor=context.actor.name[:NAME_CHARACTERS],
        client=context.actor.client,
        action=action,
        kind=row._meta.model_name or "",
        object_id=row.pk,
        object_name=str(row)[:NAME_CHARACTERS],
        organization_id=place.organization_id,
        server_id=place.server_id,
        before={name: was[name] for name in sorted(changed & was.keys())},
        after={name: is_now[name] for name in sorted(changed & is_now.keys())},
    )


def prune(now: datetime) -> None:
    """Delete entries of more than 400 days ago, a thousand at a time. Runs each night."""
    old = AuditEntry.objects.filter(at__lt=now - KEPT).order_by("pk")
    while ids := list(old.values_list("pk", flat=True)[:STEP]):
        AuditEntry.objects.filter(pk__in=ids).delete()
