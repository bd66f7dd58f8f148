"""How rows that people set up are found, made, changed and deleted: with the rule of access and the audit."""

from __future__ import annotations

import functools
import hashlib
import json
import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model, Q, QuerySet

from postal_server.errors import ChangedMeanwhile, InvalidValues, NotFound
from postal_server.rules.access import Action, Place, sees
from postal_server.services.operations.context import OperationContext

from . import audit
from .place import place_of

M = TypeVar("M", bound=Model)
Values = Mapping[str, Any]


def find(rows: QuerySet[M], context: OperationContext, action: Action = Action.VIEW, **by: Any) -> M:
    """The row that `by` names. Raises `NotFound` if there is none that the actor may know of."""
    row = rows.filter(**by).first()
    if row is None or not sees(context.actor, place_of(row)):
        raise NotFound(f"There is no {title(rows.model)} {' '.join(map(str, by.values()))}.")
    context.require(action, place_of(row))
    return row


def create(
    row: M,
    values: Values,
    context: OperationContext,
    *,
    takes: Collection[str],
    action: Action = Action.MANAGE,
    place: Place | None = None,
) -> M:
    """Save a new row with these values, of which it takes those named.

    Raises `InvalidValues`, and as `OperationContext.require` does. `place` is where it is made; by default
    where it belongs.
    """
    context.require(action, place_of(row) if place is None else place)
    related = _assign(row, values, takes)
    validate(row)
    with context.write_transaction():
        _save(row, related)
        audit.note("created", row, context, after=audit.values_of(row))
    return row


def change(
    row: M,
    values: Values,
    context: OperationContext,
    *,
    takes: Collection[str],
    action: Action = Action.MANAGE,
    version: str | None = None,
    before_saving: Callable[[M], None] | None = None,
) -> M:
    """Change these values of a row; the row as it is then.

    Raises as `create`, `ChangedMeanwhile` if `version` is given and is not `version_of` the stored row any
    more, and `NotFound` if the row was deleted meanwhile.
    """
    context.require(action, place_of(row))
    with context.write_transaction():
        stored = type(row)._default_manager.select_for_update(of=("self",)).filter(pk=row.pk).first()
        if stored is None:
            raise NotFound(f"The {title(type(row))} {row} was deleted meanwhile.")
        if version is not None and version != version_of(stored):
            raise ChangedMeanwhile(f"The {title(type(row))} {stored} has been changed meanwhile.")
        before = audit.values_of(stored)
        related = _assign(stored, values, takes)
        if before_saving:
            before_saving(stored)
        validate(stored)
        _save(stored, related)
        audit.note("changed", stored, context, before, audit.values_of(stored))
    return stored


def delete(row: Model, context: OperationContext, *, action: Action = Action.MANAGE) -> None:
    """Delete a row at once, with what hangs on it by foreign keys."""
    context.require(action, place_of(row))
    with context.write_transaction():
        audit.note("deleted", row, context, before=audit.values_of(row))
        row.delete()


def version_of(row: Model) -> str:
    """What differs whenever a value of the row does that people set."""
    values = {name: value for name, value in audit.values_of(row).items() if _is_set_by_people(row, name)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _is_set_by_people(row: Model, name: str) -> bool:
    return row._meta.get_field(name).editable


def in_places_of(
    rows: QuerySet[M], context: OperationContext, *organizations: str, server: str
) -> QuerySet[M]:
    """Those rows that the actor may know of.

    The texts are the look-ups of the ids of their owners: `organizations` of one that owns them, directly or
    by a mail server.
    """
    actor = context.actor
    if not actor.is_administrator:
        rows = rows.filter(_any_is(organizations, actor.roles))
    if actor.organization_id is not None:
        rows = rows.filter(_any_is(organizations, [actor.organization_id]))
    return rows if actor.server_id is None else rows.filter(**{server: actor.server_id})


def _any_is(look_ups: Iterable[str], ids: Iterable[int]) -> Q:
    return functools.reduce(operator.or_, (Q(**{f"{name}__in": list(ids)}) for name in look_ups))


def validate(row: Model) -> None:
    """Raise `InvalidValues` if the row breaks a rule of its model."""
    try:
        row.full_clean()
    except ValidationError as error:
        problems = error.message_dict
        raise InvalidValues(
            {"" if name == NON_FIELD_ERRORS else name: texts for name, texts in problems.items()}
        ) from error


def title(model: type[Model]) -> str:
    """`mail server`, `HTTP endpoint`: the name of a model in a sentence."""
    return str(model._meta.verbose_name)


def _assign(row: Model, values: Values, takes: Collection[str]) -> dict[str, Any]:
    """Set values; those of many related rows are returned, to be set once the row is saved."""
    unknown = {name: [f"A {title(type(row))} has no such value."] for name in values.keys() - set(takes)}
    if unknown:
        raise InvalidValues(unknown)
    related = {}
    for name, value in values.items():
        if row._meta.get_field(name).many_to_many:
            related[name] = value
        else:
            setattr(row, name, value)
    return related


def _save(row: Model, related: Mapping[str, Any]) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        # Another transaction was first: the same check names the values now.
        validate(row)
        raise InvalidValues({"": ["It cannot be stored: it breaks a rule of the database."]}) from error
    for name, value in related.items():
        getattr(row, name).set(value)
