"""`postal-server initialize`. Sets up Django itself, once the configuration is known."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import django
from django.core.management.base import CommandError
from django.db import DatabaseError, transaction

from postal_server import conf, files
from postal_server.conf import Config
from postal_server.engine.database import unusable, write_lock
from postal_server.errors import ConfigurationError
from postal_server.installation import changes, checks, questions, values
from postal_server.installation.answers import Answers, WrongOptions
from postal_server.installation.backup.swap import require_finished
from postal_server.installation.changes import Plan
from postal_server.installation.checks import TakenPorts
from postal_server.installation.configuration_file import ConfigurationFile
from postal_server.installation.modes import Mode
from postal_server.installation.questions import Person
from postal_server.management.arguments import checked
from postal_server.management.plain import PlainCommand

ABOUT = (
    "Make an installation: configuration, keys, certificate, database and, in an empty database, a first "
    "mail server, whose keys are shown only now. It is one for development, which catches all mail, unless "
    "an option says otherwise. Can be run again: it makes what is missing, changes what its options ask for, "
    "and nothing else. At a terminal it asks for what --staging and --production need and was not given."
)
SECRETS = (
    "Values on the command line can be seen in the list of processes. Where one contains a password, give - "
    "instead: it is then asked for, or read from a line of standard input. The database can be named by the "
    "environment variable STORAGE_URL as well, which the server then needs too."
)


class Command(PlainCommand):
    help = ABOUT

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = SECRETS
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--staging", action="store_true", help="mail goes to those of --allow; all other mail is caught"
        )
        mode.add_argument("--production", action="store_true", help="all mail is sent")
        of_file = parser.add_argument_group("the configuration file")
        for option, check, name, about in (
            ("--hostname", values.domain, "HOST", "host name of the web interface and the API"),
            (
                "--smtp-hostname",
                values.domain,
                "HOST",
                "host name of the mail server (--hostname by default)",
            ),
            ("--web-port", values.port, "PORT", "port of the web process"),
            ("--smtp-port", values.port, "PORT", "port for incoming mail and submission"),
            ("--certificate", values.file, "FILE", "certificate chain for SMTP; self-signed by default"),
            ("--key", values.file, "FILE", "its private key"),
        ):
            of_file.add_argument(option, type=checked(check), metavar=name, help=about)
        of_file.add_argument(
            "--database", metavar="URL", help="postgresql://user:password@host/name; SQLite by default"
        )
        of_file.add_argument(
            "--relay",
            action="append",
            metavar="URL",
            help="relay for all mail, smtp://user:password@host:587?ssl_mode=STARTTLS; can be repeated",
        )
        of_file.add_argument(
            "--mx", action="store_true", help="mail goes straight to the recipients' mail hosts"
        )
        of_file.add_argument(
            "--allow",
            action="append",
            type=checked(values.address_or_domain),
            metavar="ADDRESS",
            help="an address or domain that gets its mail with --staging; can be repeated",
        )
        of_server = parser.add_argument_group("the mail server")
        of_server.add_argument(
            "--domain",
            action="append",
            type=checked(values.domain),
            help="sending and receiving domain (localhost by default in development); can be repeated",
        )
        of_server.add_argument("--webhook", metavar="URL", help="where it sends its events")
        of_server.add_argument(
            "--inbound", metavar="URL", help="where it sends mail for reply@DOMAIN, the first of --domain"
        )
        of_server.add_argument("--no-server", action="store_true", help="make no mail server")
        parser.add_argument(
            "--no-input", "--yes", action="store_true", help="ask nothing, even at a terminal"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(os.environ.get(conf.PATH_VARIABLE) or conf.DEFAULT_PATH).absolute()
        os.environ[conf.PATH_VARIABLE] = str(path)
        is_there = sys.stdin.isatty() and sys.stdout.isatty() and not options["no_input"]
        try:
            self._initialize(_answers(options), path, Person(is_there=is_there))
        except WrongOptions as error:
            raise CommandError(str(error), returncode=2) from error
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(unusable(error, conf.config())) from error
        except FileExistsError as error:
            raise CommandError(
                f"{error.filename}: was made by somebody else meanwhile, or is a link that leads nowhere. "
                "Run this again."
            ) from error
        except OSError as error:
            raise CommandError(f"{error.filename or path}: cannot be made ({error.strerror}).") from error

    def _initialize(self, answers: Answers, path: Path, person: Person) -> None:
        """Ask and check everything; only then write."""
        require_finished(path.parent)
        file = ConfigurationFile(path, os.environ)
        answers.require_sense(file.config.delivery.mode)
        answers = questions.for_configuration(answers, file, person)
        plan = changes.plan(answers, file, os.environ)
        now = datetime.now(timezone.utc)
        _require_none(checks.problems(answers, plan, now))
        taken = checks.taken_ports(plan.config)
        if answers.is_public:
            _require_none(taken.in_the_way)
        secret = files.new_secret(plan.config)
        _set_up_django(plan.config, secret)
        from postal_server.installation import mail_server  # noqa: PLC0415 - its models need Django

        state = mail_server.look(plan.config)
        additions: list[str] = []
        if state.is_used:
            additions = mail_server.foreseen(answers, plan.config, now)
        elif not answers.no_server:
            answers = questions.for_mail_server(answers, plan.config, person)
            plan = changes.plan(answers, file, os.environ)
        if state.is_outdated:
            additions.insert(0, "the database: tables of an earlier version are brought up to date")
        if not _is_agreed(plan, additions, person):
            raise ConfigurationError("Nothing was changed.")
        self._write(answers, plan, secret, taken)

    def _write(self, answers: Answers, plan: Plan, secret: str, taken: TakenPorts) -> None:
        """Make keys, tables and rows, and put the configuration file in its place before the commit.

        A failure leaves what was there as it was. From the commit on, nothing interrupts: keys that are shown
        only once have to be printed.
        """
        from postal_server.installation import mail_server, summary  # noqa: PLC0415
        from postal_server.management.base import bring_database_up_to_date  # noqa: PLC0415

        with plan.file.replaced_by(plan.text) as draft:
            made = files.write_secrets(plan.config, secret)
            bring_database_up_to_date(verbosity=0)
            with contextlib.ExitStack() as stack:
                stack.enter_context(stack.enter_context(contextlib.closing(write_lock())).turn())
                with contextlib.ExitStack() as until_commit, transaction.atomic():
                    rows = mail_server.make(answers, plan.config, datetime.now(timezone.utc))
                    plan.file.require_unchanged()
                    stack.enter_context(_uninterrupted())
                    until_commit.enter_context(plan.file.put_in_place(draft))
                shut = files.keep_others_out(plan.config)
                self._print(summary.lines(answers, plan, summary.Done(made, shut, rows), taken))

    def _print(self, lines: Iterable[str]) -> None:
        try:
            for line in lines:
                self.stdout.write(line)
            self.stdout.flush()
        except OSError as error:
            raise CommandError(
                f"All is made, but cannot be printed ({error.strerror}). "
                "If keys are missing, make others in the administration."
            ) from error


def _answers(options: dict[str, Any]) -> Answers:
    """The options as answers. Raises `WrongOptions` for values that are none."""
    mode = next((mode for mode in (Mode.STAGING, Mode.PRODUCTION) if options[mode.value]), None)

    def secret(option: str, given: str, check: Callable[[str], str]) -> str:
        try:
            return questions.secret(option, given, check)
        except ValueError as error:
            raise WrongOptions(f"{option}: {error}.") from error

    checks_of = {"database": values.database, "webhook": values.url, "inbound": values.url}
    given = {name: options[name] for name in checks_of if options[name] is not None}
    return Answers(
        mode=mode,
        hostname=options["hostname"] or "",
        smtp_hostname=options["smtp_hostname"] or "",
        web_port=options["web_port"] or 0,
        smtp_port=options["smtp_port"] or 0,
        relays=tuple(secret("--relay", each, values.relay) for each in options["relay"] or ()),
        mx=options["mx"],
        certificate=options["certificate"] or "",
        key=options["key"] or "",
        allow=tuple(options["allow"] or ()),
        domains=tuple(dict.fromkeys(options["domain"] or ())),
        no_server=options["no_server"],
        **{name: secret(f"--{name}", value, checks_of[name]) for name, value in given.items()},
    )


def _require_none(problems: Iterable[str]) -> None:
    if found := list(problems):
        raise ConfigurationError("\n".join(found))


def _is_agreed(plan: Plan, additions: Sequence[str], person: Person) -> bool:
    """Does the person agree to changes of what was there? Only somebody at a terminal is asked."""
    altered = [*(plan.changes if plan.file.exists else ()), *additions]
    if not altered:
        return True
    return person.agrees("\n".join(["This will be changed:", *(f"  {each}" for each in altered), "Go on?"]))


def _set_up_django(config: Config, secret: str) -> None:
    """Give Django the configuration that is planned, and the secret that no file has yet."""
    if secret:
        config = replace(config, rails=replace(config.rails, secret_key=secret))
    conf.use(config)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postal_server.settings")
    django.setup()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
