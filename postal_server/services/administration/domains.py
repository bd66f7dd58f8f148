"""Domains of mail servers and organizations, and the hosts that their tracked links point to."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from postal_server.errors import InvalidValues
from postal_server.mail import dkim
from postal_server.mail.address import domain_key
from postal_server.models import Domain, Organization, Server
from postal_server.rules.access import Action
from postal_server.services.operations import domain_checks
from postal_server.services.operations.context import OperationContext
from postal_server.services.shared.dns_questions import Ask, Question

from . import audit, rows
from .place import place_of
from .rows import Values

OF_ADMINISTRATORS = ("use_for_any", "only_where_caught")


def visible(context: OperationContext, *, server: Server | None = None) -> QuerySet[Domain]:
    """Those that the actor may know of, by name; of one mail server those of its organization as well."""
    found = Domain.objects.select_related("server__organization", "organization")
    if server is not None:
        found = found.filter(Q(server=server) | Q(organization=server.organization_id))
    return rows.in_places_of(found, context, "server__organization", "organization", server="server")


def create(owner: Server | Organization, values: Values, context: OperationContext) -> Domain:
    """A new domain with a key of its own. What an administrator adds counts as verified."""
    domain = Domain(
        server=owner if isinstance(owner, Server) else None,
        organization=owner if isinstance(owner, Organization) else None,
        dkim_private_key=dkim.generate_rsa(),
        verified_at=context.now if context.actor.is_administrator else None,
    )
    given = {**values, "name": domain_key(str(values.get("name") or ""))}
    return rows.create(domain, given, context, takes=("name", *_takes(context)))


def change(domain: Domain, values: Values, context: OperationContext, version: str | None = None) -> Domain:
    """Whether it may send for any sender address: by an administrator alone."""
    return rows.change(domain, values, context, takes=_takes(context), version=version)


def verify(domain: Domain, context: OperationContext, ask: Ask) -> Domain:
    """Look for the record that proves the ownership. Raises `InvalidValues` if it is not there."""
    context.require(Action.MANAGE, place_of(domain))
    if domain.verified_at is not None:
        return domain
    answers = ask([Question(domain.name, "TXT")])
    with context.write_transaction():
        if not domain_checks.verify(domain, answers, context.config, context.now):
            wanted = domain_checks.verification_record(domain, context.config)
            raise InvalidValues({"name": [f"{domain.name} has no TXT record {wanted!r}."]})
        audit.note("verified", domain, context)
    return domain


def check(domains: Sequence[Domain], context: OperationContext, ask: Ask) -> None:
    """Look up the records of these domains, and store how they stand."""
    for domain in domains:
        context.require(Action.VIEW, place_of(domain))
    domain_checks.check(domains, context.config, context.now, ask)


def delete(domain: Domain, context: OperationContext) -> None:
    """Nobody sends from it any more, and its routes refuse their mail."""
    rows.delete(domain, context)


def _takes(context: OperationContext) -> tuple[str, ...]:
    return OF_ADMINISTRATORS if context.actor.is_administrator else ()
