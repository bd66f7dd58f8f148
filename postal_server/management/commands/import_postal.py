"""`postal-server import`."""

from __future__ import annotations

import asyncio
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.errors import ConfigurationError, HostileInput
from postal_server.importing import importer
from postal_server.importing.mail_hosts import mail_host_problems
from postal_server.importing.mariadb import live_databases
from postal_server.importing.mariadb_dump import Dump
from postal_server.importing.records import Report
from postal_server.management.base import ServerCommand
from postal_server.runtime.resolver import resolver
from postal_server.services.preparation.target import allowed_destinations, allowed_mail_hosts
from postal_server.transports.http.hosts import is_allowed_host

SERVER_ID = re.compile(r"-server-(\d+)")


class Command(ServerCommand):
    help = (
        "Take over a Postal installation from database dumps, or from its live database (main_db and "
        "message_db of the configuration). Reports what was imported and what could not be; can be repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dump", nargs="?", type=Path, help="dump of the main database (.sql or .sql.gz)")
        parser.add_argument(
            "--messages",
            nargs="+",
            default=[],
            metavar="DUMP",
            help="dumps of message databases: names with `-server-ID`, or ID=FILE",
        )
        parser.add_argument("--live", action="store_true", help="read the live database instead of dumps")
        parser.add_argument("--dry-run", action="store_true", help="only show what would be imported")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["dump"]) == options["live"]:
            raise CommandError("Give a dump of the main database, or --live.")
        config = conf.config()
        allowed, mail_hosts = allowed_destinations(config), allowed_mail_hosts(config)
        try:
            main, of_servers = live_databases(config) if options["live"] else _dumps(options)
            report = importer.run(
                main,
                of_servers,
                is_allowed_host=lambda host: is_allowed_host(host, allowed.permits),
                progress=self._progress,
                dry_run=options["dry_run"],
            )
            if not (report.made or report.updated):
                raise CommandError("No data of a main database of Postal was found.")
            if not config.postal.smtp_relays:
                report.problems += asyncio.run(
                    mail_host_problems(report.mail_domains, resolver(config), mail_hosts)
                )
        except (HostileInput, ConfigurationError, OSError) as error:
            raise CommandError(str(error)) from error
        self._show(report, options["dry_run"])

    def _progress(self, what: str, count: int) -> None:
        if count:
            self.stderr.write(f"  {what}: {count:,}")

    def _show(self, report: Report, dry_run: bool) -> None:
        self.stdout.write("Would import:" if dry_run else "Imported:")
        for kind in sorted({*report.made, *report.updated}):
            self.stdout.write(f"  {kind:<20} {report.made[kind]:>8,} new {report.updated[kind]:>8,} known")
        for problem in report.problems:
            self.stdout.write(f"! {problem}")


def _dumps(options: dict[str, Any]) -> tuple[Dump, dict[int, Dump]]:
    """The dumps that the arguments name: of the main database, and of servers by their ids."""
    of_servers: dict[int, Dump] = {}
    for word in options["messages"]:
        number, equals, name = word.partition("=")
        in_name = SERVER_ID.search(Path(word).name)
        if equals and number.isdigit():
            of_servers[int(number)] = Dump(Path(name))
        elif in_name:
            of_servers[int(in_name[1])] = Dump(Path(word))
        else:
            raise CommandError(f"--messages {word}: name the server that it belongs to, as ID=FILE.")
    return Dump(options["dump"]), of_servers
