"""`postal-server backup`."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from postal_server import conf
from postal_server.errors import BackupError
from postal_server.installation.backup import making, verifying
from postal_server.installation.backup.archive import CERTIFICATE, Manifest, opened
from postal_server.management.base import ServerCommand, counted
from postal_server.management.progress import Progress
from postal_server.models import Message, QueuedMessage


class Command(ServerCommand):
    help = (
        "Back up configuration, keys, certificate and database into one file, while the server runs or not; "
        "or check such a file. It can read all mail and sign as this server: keep it as safe as the server."
    )
    needs_database = False  # one that lacks migrations is backed up before they are applied

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a new file; `-` for standard output or input")
        parser.add_argument("--verify", action="store_true", help="check FILE instead, and say what is in it")
        parser.add_argument(
            "--without-certificate",
            action="store_true",
            help="leave the SMTP certificate and its key out, for example if certbot keeps them",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with Progress(self.stderr) as progress:
            try:
                if options["verify"]:
                    self._verify(options["file"], progress)
                else:
                    self._make(options["file"], progress, with_certificate=not options["without_certificate"])
            except BackupError as error:
                prefix = f"{options['file']}: " if options["verify"] else ""
                raise CommandError(f"{prefix}{error}") from error
            except OSError as error:
                raise CommandError(
                    f"{error.filename or options['file']}: {error.strerror or error}"
                ) from error

    def _make(self, file: str, progress: Progress, *, with_certificate: bool) -> None:
        manifest, size = making.make(
            conf.config(),
            file,
            timezone.now(),
            environ=os.environ,
            with_certificate=with_certificate,
            report=progress.report,
        )
        # Standard output may be the back-up itself.
        self.stderr.write(f"{file}: {size / 1e6:,.1f} MB in {progress.seconds:.1f} s. {_contents(manifest)}")

    def _verify(self, file: str, progress: Progress) -> None:
        with opened(file) as stream:
            manifest = verifying.verify(stream, progress.report)
        self.stdout.write(f"{file}: whole; its database and keys are in order. {_contents(manifest)}")
        self.print_table(
            ["file", "bytes", "from"], [[each.name, f"{each.size:,}", each.path] for each in manifest.members]
        )
        if missing := verifying.missing_migrations(manifest):
            self.stdout.write(
                f"Its database lacks {counted(missing, 'migration', 'migrations')} of this version: "
                "run `postal-server upgrade` after a restore."
            )


def _contents(manifest: Manifest) -> str:
    """What a back-up has, in a sentence or two."""
    messages = manifest.rows.get(Message._meta.db_table, 0)
    waiting = manifest.rows.get(QueuedMessage._meta.db_table, 0)
    certificate = "with" if manifest.member(CERTIFICATE) else "without"
    return (
        f"Made {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC by postal-server {manifest.version}, "
        f"{manifest.database} {manifest.database_version}, {certificate} certificate: "
        f"{counted(messages, 'message', 'messages')}, of which {counted(waiting, 'waits', 'wait')}."
    )
