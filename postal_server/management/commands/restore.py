"""`postal-server restore`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import CommandError
from django.utils import timezone

from postal_server import conf
from postal_server.errors import BackupError
from postal_server.installation import values
from postal_server.installation.backup import restoring
from postal_server.installation.backup.archive import opened
from postal_server.management.arguments import checked
from postal_server.management.base import ServerCommand, counted
from postal_server.management.progress import Progress
from postal_server.models import Message, QueuedMessage


def database_url(text: str) -> str:
    """The URL of a database, without a password: other users of the machine see the words of a command."""
    if urlsplit(text).password is not None or "password=" in text:
        raise ArgumentTypeError(
            "a password here could be seen in the process list: set STORAGE_URL to the whole URL instead, "
            "for this command and the server, or keep the password in ~/.pgpass"
        )
    return checked(values.database)(text)


class Command(ServerCommand):
    help = (
        "Bring an installation back from a back-up: files, keys and database. It must not run meanwhile. "
        "Mail that was waiting, or has been sent since the back-up, is sent when it starts."
    )
    needs_database = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a back-up; `-` for standard input")
        parser.add_argument(
            "--to",
            type=Path,
            metavar="DIR",
            help="folder to restore to (by default that of the configuration file)",
        )
        parser.add_argument(
            "--database",
            type=database_url,
            metavar="URL",
            help="database to restore to, instead of the one that the configuration names",
        )
        parser.add_argument(
            "--replace",
            action="store_true",
            help="replace an installation that is there; what is there is kept",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        target = options["to"] or Path(os.environ.get(conf.PATH_VARIABLE) or conf.DEFAULT_PATH)
        wish = restoring.Wish(target, options["database"], options["replace"], os.environ)
        with Progress(self.stderr) as progress:
            try:
                with opened(options["file"]) as stream:
                    done = restoring.restore(stream, wish, timezone.now(), progress.report)
            except BackupError as error:
                raise CommandError(f"{options['file']}: {error}") from error
            except OSError as error:
                name = error.filename or options["file"]
                raise CommandError(f"{name}: {error.strerror or error}") from error
        self._print(done, progress.seconds)

    def _print(self, done: restoring.Restored, seconds: float) -> None:
        rows = done.manifest.rows
        messages = rows.get(Message._meta.db_table, 0)
        waiting = rows.get(QueuedMessage._meta.db_table, 0)
        self.stdout.write(
            f"Restored to {done.config.path or done.config.root} in {seconds:.1f} s: "
            f"{counted(messages, 'message', 'messages')}, of which {counted(waiting, 'waits', 'wait')}.\n"
            f"New messages have numbers above {done.last_message_id:,}: those that were given after the "
            "back-up are not given again."
        )
        for path in done.kept:
            self.stdout.write(f"kept: {path}")
        for note in done.notes:
            self.stdout.write(f"note: {note}")
