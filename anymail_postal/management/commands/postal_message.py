"""Show a message and its deliveries."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from anymail.exceptions import AnymailConfigurationError
from django.core.management.base import BaseCommand, CommandError

from ... import conf
from ...client import PostalClient
from ...errors import PostalAPIError
from ...wire import Delivery, PostalMessage

EXPANSIONS = ("status", "details", "inspection", "activity_entries")


class Command(BaseCommand):
    help = "Show what Postal knows of one message: its state, the attempts to deliver it, opens and clicks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", metavar="ID", type=int, help="Postal's id of the message")
        parser.add_argument("--server", default=conf.DEFAULT_SERVER, help="the server that has it")

    def handle(self, *args: Any, id: int, server: str, **options: Any) -> None:
        try:
            with PostalClient(server) as client:
                lines = [*describe(client.message(id, EXPANSIONS)), *describe_all(client.deliveries(id))]
        except (PostalAPIError, AnymailConfigurationError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("\n".join(lines))


def describe(message: PostalMessage) -> Iterator[str]:
    """A message as text: one property per line."""
    facts = {
        "id": message.id,
        "token": message.id.token,
        "status": message.status,
        "held until": message.hold_expires_at,
        "held for": message.hold_reason,
        "direction": message.direction,
        "from": message.mail_from,
        "to": message.recipient,
        "subject": message.subject,
        "Message-ID": message.id.rfc_message_id,
        "tag": message.tag,
        "stream": message.stream,
        "created": message.created_at,
        "size": None if message.size_bytes is None else f"{message.size_bytes} bytes",
        "spam score": message.spam_score,
        "threat": message.threat_details,
    }
    for name, value in facts.items():
        if value not in (None, ""):
            yield f"{name + ':':<12} {value}"
    for what, entries in (("opened", message.opens), ("clicked", message.clicks)):
        for entry in entries:
            yield f"{what + ':':<12} {entry.at} {entry.url or ''} {entry.ip_address or ''}".rstrip()


def describe_all(deliveries: list[Delivery]) -> Iterator[str]:
    """The deliveries as text, the oldest first."""
    if not deliveries:
        yield "No attempt to deliver it yet."
    for delivery in deliveries:
        why = (delivery.classification or {}).get("class")
        yield f"{delivery.at} {delivery.status}{f' ({why})' if why else ''}: {delivery.details}"
        if delivery.output:
            yield f"    {delivery.output}"
