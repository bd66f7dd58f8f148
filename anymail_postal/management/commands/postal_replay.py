"""Run the receivers for saved requests."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from anymail.exceptions import AnymailConfigurationError
from django.core.management.base import BaseCommand, CommandError

from ... import body, conf, webhooks
from ...errors import UnreadableBody


class Command(BaseCommand):
    help = (
        "Run the receivers for saved request bodies, as the webhook views do: repairs what a broken receiver "
        "has missed. Neither signatures nor repetitions are checked. '-' reads standard input."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="a request body, JSON or form")
        parser.add_argument(
            "--server", default=conf.DEFAULT_SERVER, help="name of the server in the settings"
        )
        parser.add_argument(
            "--kind",
            choices=sorted(webhooks.VIEWS),
            help="kind of the requests; by default it is detected",
        )

    def handle(self, *args: Any, files: list[str], server: str, kind: str | None, **options: Any) -> None:
        for number, name in enumerate(files, 1):
            content = self.read(name)
            content_type = "application/json" if content.lstrip()[:1] in (b"{", b"[") else body.FORM
            try:
                found_kind = kind or kind_of(body.parse(content, content_type))
                events = webhooks.handle_request(found_kind, server, content, content_type)
            except (UnreadableBody, AnymailConfigurationError) as error:
                raise CommandError(f"{name}: {error}") from error
            what = ", ".join(describe(event) for event in events) or "nothing to do"
            self.stdout.write(f"[{number}/{len(files)}] {name}: {found_kind}: {what}")

    def read(self, name: str) -> bytes:
        """The bytes of a file, or of standard input."""
        try:
            return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}.") from error


def kind_of(fields: dict[str, Any]) -> str:
    """The kind of a request: only one with a mail has `rcpt_to` at the top level."""
    return "inbound" if "rcpt_to" in fields else "tracking"


def describe(event: Any) -> str:
    """A short description of an event."""
    about = event.message.subject if event.event_type == "inbound" else event.recipient
    return f"{event.event_type} {about}" if about else str(event.event_type)
