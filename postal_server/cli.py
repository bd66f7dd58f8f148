"""`postal-server`: one command line for everything an administrator does.

Parses only the options before the command; each command is a Django management command with its own `--help`.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand

COMMANDS = {
    "run": "web, SMTP and worker in one process",
    "web": "the web process: API, JWKS, tracking, admin",
    "smtp": "the SMTP process: incoming mail, submission, and the catch",
    "worker": "a worker process: deliveries, webhooks and scheduled tasks",
    "health": "ask a running process whether it is ready",
    "initialize": "create configuration, keys, database and a mail server",
    "service": "have systemd run the server",
    "upgrade": "update the database",
    "backup": "back up configuration, keys and database into one file, or check such a file",
    "restore": "bring an installation back from a back-up",
    "vacuum": "give the space of deleted mail in a SQLite file back to the disk",
    "queue": "list, suspend, resume, flush and purge parts of the queue",
    "held": "list, release and cancel held messages",
    "suppressions": "list, add, remove, check, export and import suppressed addresses",
    "incidents": "list, confirm and drop what operators say in doubt of addresses",
    "reports": "list what came back about mail: bounces, automatic replies and more",
    "classify": "say what an answer of a mail host is taken for",
    "organizations": "list, add, change, suspend and delete organizations",
    "servers": "list, add, change, suspend and delete mail servers",
    "domains": "list, add, check and delete domains, and show their DNS records",
    "credentials": "list, add, renew and delete the keys that applications send with",
    "routes": "list, add, change and delete the routes of incoming mail",
    "webhooks": "list, add, change and delete webhooks, and resend events",
    "make-user": "create an administrator",
    "import": "import a Postal installation",
    "default-dkim-record": "print the DKIM record of the installation's key",
    "test-app-smtp": "send a test mail through the host for notices",
    "console": "a Python shell with the models",
    "version": "print the version",
}
ALIASES = {
    "web-server": "web",
    "smtp-server": "smtp",
    "update": "upgrade",
    "console": "shell",
    "import": "import_postal",
}
# They go on until a signal: a supervisor starts them again, but not with a wrong configuration.
PROCESSES = frozenset({"run", "web", "smtp", "worker"})
WRONG_CONFIGURATION = 78  # EX_CONFIG of sysexits.h; `RestartPreventExitStatus` of the units names it
# `health` is called every few seconds: loading the models would cost more than the work. `initialize` decides
# on the configuration first, and loads them then.
WITHOUT_MODELS = frozenset({"health", "initialize"})
MISSING_EXTRA = "postal-server needs its extra: pip install 'anymail-postal[server]' ({name} is missing)."


def usage() -> str:
    """The text of `postal-server help`."""
    lines = [f"  {name:<20} {about}" for name, about in COMMANDS.items()]
    return "\n".join(
        [
            "usage: postal-server [--config FILE] COMMAND [OPTION ...]",
            "       postal-server --version",
            "",
            "A mail server that is compatible with Postal.",
            "",
            "commands (`postal-server COMMAND --help` lists the options of each):",
            *lines,
            "",
            "The configuration is read from --config, $POSTAL_CONFIG_FILE_PATH or ./postal.yml.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 wrong use.

    For a process of the server that has a wrong configuration it is 78.
    """
    _heed_sigterm()
    words = list(sys.argv[1:] if arguments is None else arguments)
    path: str | None = None
    while words and words[0].startswith("--config"):
        option, equals, value = words.pop(0).partition("=")
        if option != "--config" or not (equals or words):
            return _complain("--config needs the path of a configuration file.")
        path = value if equals else words.pop(0)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if words[0] == "--version":
        print(version("anymail-postal"))
        return 0
    name = ALIASES.get(words[0], words[0])
    if name not in {*COMMANDS, *ALIASES.values()}:
        return _complain(_unknown(words[0]))
    try:
        return _run(name, words, path)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("postal_server", "anymail_postal")):
            raise
        return _complain(MISSING_EXTRA.format(name=error.name), status=1)
    except KeyboardInterrupt:
        return 130


def _heed_sigterm() -> None:
    """Let SIGTERM end this process as it ends any other, until a server takes the signal over.

    The first process of a container never gets a signal that it has no handler for (pid_namespaces(7)), and
    would be killed only at the end of the engine's patience.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))


def _unknown(word: str) -> str:
    """The error message for an unknown command, or an unknown option before the command."""
    kind, known = "a command", [*COMMANDS, *ALIASES]
    if word.startswith("-"):
        kind, known = "an option that may come before the command", ["--config", "--version", "--help"]
    for near in difflib.get_close_matches(word, known, 1):
        return f"{word!r} is not {kind}. Did you mean {near}? `postal-server --help` lists all commands."
    return f"{word!r} is not {kind}.\n\n{usage()}"


def _run(name: str, words: list[str], path: str | None) -> int:
    from .errors import ConfigurationError, NotNow  # noqa: PLC0415 - the extra may be missing

    os.umask(0o077)  # mail, keys and passwords are private to this user
    if path is not None:
        os.environ["POSTAL_CONFIG_FILE_PATH"] = path
    is_help = "--help" in words or "-h" in words
    try:
        with contextlib.ExitStack() as stack:
            if is_help or name == "restore" or (name == "backup" and "--verify" in words):
                stack.enter_context(_no_installation())
            elif "--initialize" in words and (status := _execute(_load("initialize"), "initialize", [])):
                return status
            command = _load(name)
            if not is_help:
                stack.close()
            return _execute(command, words[0], words[1:])
    except NotNow as error:
        return _complain(str(error), status=1)
    except ConfigurationError as error:
        return _complain(str(error), status=WRONG_CONFIGURATION if name in PROCESSES else 1)


@contextlib.contextmanager
def _no_installation() -> Iterator[None]:
    """An environment for the time of the block in which commands can be loaded without an installation."""
    from . import conf, conf_environment  # noqa: PLC0415 - the extra may be missing

    given = dict(os.environ)
    for variable in conf_environment.with_files(conf.variables()):
        os.environ.pop(variable, None)
    os.environ[conf.PATH_VARIABLE] = os.devnull
    os.environ["RAILS_SECRET_KEY"] = "none: there is no installation"  # noqa: S105
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(given)


def _load(name: str) -> BaseCommand:
    os.environ["DJANGO_SETTINGS_MODULE"] = "postal_server.settings"
    import django  # noqa: PLC0415 - settings first
    from django.core.management import load_command_class  # noqa: PLC0415

    if name not in WITHOUT_MODELS:
        django.setup()
    app = "django.core" if name == "shell" else "postal_server"
    return load_command_class(app, name.replace("-", "_"))


def _execute(command: BaseCommand, shown_name: str, words: list[str]) -> int:
    from django.core.management.base import CommandError  # noqa: PLC0415 - the extra may be missing

    # Wrong options print the usage and exit with status 2 instead of raising an exception.
    command._called_from_command_line = True  # type: ignore[attr-defined]
    parser = command.create_parser("postal-server", shown_name)
    options = vars(parser.parse_args(words))
    try:
        command.execute(*options.pop("args", ()), **options)
    except CommandError as error:
        return _complain(str(error), status=error.returncode)
    return 0


def _complain(message: str, status: int = 2) -> int:
    print(f"postal-server: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
