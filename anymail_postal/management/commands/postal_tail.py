"""Print events as they are received."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ... import conf
from ...ports import StoredEvent

BATCH = 1000  # events read at a time


class Command(BaseCommand):
    help = "Print the latest events in the store, and then new ones as they come in, until interrupted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--server", help="only events of this server")
        parser.add_argument("--lines", "-n", type=int, default=10, help="how many past events (10)")
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between two looks (1)")
        parser.add_argument("--no-follow", dest="follow", action="store_false", help="stop after past events")

    def handle(
        self, *args: Any, server: str | None, lines: int, interval: float, follow: bool, **options: Any
    ) -> None:
        store = conf.store()
        if store is None:
            raise CommandError(f"Events are kept only with {conf.STORE_APP!r} in INSTALLED_APPS.")
        past = store.events(max(lines, 1), server=server)
        last = past[-1].number if past else 0
        self.print(past if lines > 0 else [])
        try:
            while follow:
                time.sleep(interval)
                new = store.events(BATCH, server=server, after=last)
                last = new[-1].number if new else last
                self.print(new)
        except KeyboardInterrupt:
            pass  # how the command is ended

    def print(self, events: list[StoredEvent]) -> None:
        """One line for each event."""
        for event in events:
            words = (
                f"{event.at:%Y-%m-%d %H:%M:%S}",
                event.server,
                event.name,
                f"{event.event_type}/{event.reject_reason}" if event.reject_reason else event.event_type,
                event.failure_class,
                event.recipient,
                event.output or event.details,
            )
            self.stdout.write("  ".join(" ".join(word.split()) for word in words if word))
