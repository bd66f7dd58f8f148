"""`postal-server import`."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from argparse import ArgumentParser
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from postal_server import conf
from postal_server.engine.ports import Resolver
from postal_server.errors import ConfigurationError, HostileInput
from postal_server.importing import mariadb_dump
from postal_server.importing.importer import Importer, Report, Source
from postal_server.importing.mariadb import MariaDB
from postal_server.management.base import ServerCommand
from postal_server.rules.request_destination import AllowedDestinations
from postal_server.runtime.assembly import resolver
from postal_server.services.preparation.target import allowed_destinations, allowed_mail_hosts
from postal_server.transports.http.hosts import is_allowed_host
from postal_server.transports.smtp.connect import refused_hosts

SERVER_ID = re.compile(r"-server-(\d+)")
AT_ONCE = 20  # look-ups


@dataclass(frozen=True)
class Dump:
    """A dump file, gzipped or not."""

    path: Path

    def rows(self, tables: Collection[str]) -> Iterator[tuple[str, mariadb_dump.Row]]:
        opened = gzip.open if self.path.suffix == ".gz" else open
        try:
            with opened(self.path, "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
                yield from mariadb_dump.rows(lines, tables)
        except (EOFError, zlib.error) as error:
            raise HostileInput(f"{self.path}: {error}.") from error


async def _refused(domains: Collection[str], names: Resolver, allowed: AllowedDestinations) -> list[str]:
    """What to say of each domain that mail could not be sent to any more, and of its hosts."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def look_up(domain: str) -> list[str]:
        async with turn:
            return await refused_hosts(names, domain, allowed.permits)

    found = await asyncio.gather(*map(look_up, domains))
    return [
        f"mail to {domain}: its host {host} has no public address and would be passed over; "
        "list it in delivery.allowed_destinations if that is wanted."
        for domain, hosts in zip(domains, found, strict=True)
        for host in hosts
    ]


class Command(ServerCommand):
    help = (
        "Take over a Postal installation from database dumps, or from its live database (main_db and "
        "message_db of the configuration). Shows what it did and could not take over; can be repeated."
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
        parser.add_argument("--dry-run", action="store_true", help="only show what would be done")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["dump"]) == options["live"]:
            raise CommandError("Give a dump of the main database, or --live.")
        config = conf.config()
        allowed, mail_hosts = allowed_destinations(config), allowed_mail_hosts(config)
        try:
            main, of_servers = self._live(config) if options["live"] else self._dumps(options)
            importer = Importer(lambda host: is_allowed_host(host, allowed.permits), self._progress)
            report = importer.run(main, of_servers, dry_run=options["dry_run"])
            if not (report.made or report.updated):
                raise CommandError("There is nothing in it that a main database of Postal has.")
            if not config.postal.smtp_relays:
                report.problems += asyncio.run(_refused(report.mail_domains, resolver(config), mail_hosts))
        except (HostileInput, ConfigurationError, OSError) as error:
            raise CommandError(str(error)) from error
        self._show(report, options["dry_run"])

    def _dumps(self, options: dict[str, Any]) -> tuple[Source, dict[int, Source]]:
        of_servers: dict[int, Source] = {}
        for word in options["messages"]:
            number, equals, name = word.partition("=")
            found = SERVER_ID.search(Path(word).name)
            if equals and number.isdigit():
                of_servers[int(number)] = Dump(Path(name))
            elif found:
                of_servers[int(found[1])] = Dump(Path(word))
            else:
                raise CommandError(f"--messages {word}: say which server it is of, as ID=FILE.")
        return Dump(options["dump"]), of_servers

    def _live(self, config: conf.Config) -> tuple[Source, dict[int, Source]]:
        def database(given: conf.Database, name: str) -> MariaDB:
            return MariaDB(given.host, given.port, given.username, given.password, name)

        main = database(config.main_db, config.main_db.database)
        prefix = config.message_db.database_name_prefix
        ids = [int(row["id"]) for _, row in main.rows(["servers"])]
        return main, {number: database(config.message_db, f"{prefix}-server-{number}") for number in ids}

    def _progress(self, what: str, count: int) -> None:
        if count:
            self.stderr.write(f"  {what}: {count:,}")

    def _show(self, report: Report, dry_run: bool) -> None:
        self.stdout.write("Would import:" if dry_run else "Imported:")
        for kind in sorted({*report.made, *report.updated}):
            self.stdout.write(f"  {kind:<20} {report.made[kind]:>8,} new {report.updated[kind]:>8,} known")
        for problem in report.problems:
            self.stdout.write(f"! {problem}")
