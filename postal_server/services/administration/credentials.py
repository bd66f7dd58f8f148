"""Credentials of mail servers: keys that may send."""

from __future__ import annotations

from ipaddress import ip_network

from django.db.models import QuerySet

from postal_server.errors import InvalidValues
from postal_server.models import Credential, Server
from postal_server.rules.access import Action
from postal_server.rules.status import CredentialType
from postal_server.services.operations.context import OperationContext
from postal_server.services.shared import credential as keys

from . import audit, rows
from .place import place_of
from .rows import Values

TAKES = ("name", "hold")


def visible(context: OperationContext) -> QuerySet[Credential]:
    """Those that the actor may know of, in the order they were made in."""
    found = Credential.objects.select_related("server__organization").order_by("pk")
    return rows.in_places_of(found, context, "server__organization", server="server")


def create(
    server: Server, kind: CredentialType, values: Values, context: OperationContext
) -> tuple[Credential, str]:
    """A new credential and its key, which is not shown again; of SMTP-IP its network, from `values`."""
    given = {"name": kind.value, **values}
    row = Credential(server=server, type=kind.value)
    secret = ""
    if kind is CredentialType.SMTP_IP:
        secret = given["network"] = _network(given.get("network"))
    elif "network" in given:
        raise InvalidValues({"network": ["Only SMTP-IP credentials have a network."]})
    else:
        secret = keys.generate_key()
        keys.set_key(row, secret)
    return rows.create(row, given, context, takes=(*TAKES, "network")), secret


def change(
    credential: Credential, values: Values, context: OperationContext, version: str | None = None
) -> Credential:
    """Its name, and whether what it sends is held."""
    return rows.change(credential, values, context, takes=TAKES, version=version)


def revoke(credential: Credential, context: OperationContext) -> None:
    """Delete it: nobody sends with it any more."""
    rows.delete(credential, context)


def renew(credential: Credential, context: OperationContext) -> str:
    """Give it a new key, which is returned and not shown again; the old one ends at once."""
    context.require(Action.MANAGE, place_of(credential))
    if credential.type == CredentialType.SMTP_IP.value:
        raise InvalidValues({"type": ["An SMTP-IP credential has no key."]})
    secret = keys.generate_key()
    with context.write_transaction():
        keys.set_key(credential, secret)
        credential.save(update_fields=["key_digest", "key_encrypted"])
        audit.note("renewed the key of", credential, context)
    return secret


def _network(text: object) -> str:
    try:
        return str(ip_network(str(text or ""), strict=False))
    except ValueError as error:
        raise InvalidValues({"network": [f"{text!r} is neither an address nor a CIDR network."]}) from error
