"""Asks a person at a terminal for what is needed and was not given."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from postal_server.conf import CATCH, Config

from . import database, values
from .answers import Answers, WrongOptions
from .configuration_file import ConfigurationFile
from .modes import DEVELOPMENT, Mode

LETSENCRYPT = "/etc/letsencrypt/live/{host}/{file}.pem"
FROM_INPUT = "-"  # in place of a value that contains a password

Value = TypeVar("Value")


class Person:
    """Answers questions at a terminal. If nobody `is_there`, the defaults answer."""

    def __init__(
        self,
        *,
        is_there: bool,
        read: Callable[[str], str] = input,
        read_secretly: Callable[[str], str] = getpass.getpass,
    ) -> None:
        self.is_there = is_there
        self._read = read
        self._read_secretly = read_secretly

    def ask(
        self, option: str, question: str, check: Callable[[str], Value], default: str | None = None
    ) -> Value:
        """The checked answer; the question comes again until it is one.

        Raises `WrongOptions` if nobody is there and there is no default.
        """
        if not self.is_there:
            if default is None:
                raise WrongOptions(f"{option} is missing: {question[0].lower()}{question[1:]}.")
            return check(default)
        shown = f" [{default}]" if default else ""
        while True:
            try:
                return check(self._input(f"{question}{shown}: ") or default or "")
            except ValueError as error:
                print(f"  {error}.")

    def ask_secretly(self, question: str) -> str:
        return self._read_secretly(f"{question}: ").strip() if self.is_there else ""

    def agrees(self, question: str) -> bool:
        """Yes, unless somebody is there and says no."""
        return not self.is_there or self._input(f"{question} [Y/n]: ").lower() in ("", "y", "yes")

    def _input(self, prompt: str) -> str:
        try:
            return self._read(prompt).strip()
        except EOFError as error:
            raise WrongOptions("The input has ended, and not all questions are answered.") from error


def secret(option: str, given: str, check: Callable[[str], str]) -> str:
    """The value of an option that may contain a password; `-` stands for a line of standard input.

    So it is in no list of processes. Raises ValueError.
    """
    if given != FROM_INPUT:
        return check(given)
    if sys.stdin.isatty():
        return check(getpass.getpass(f"{option} (is not shown): ").strip())
    return check(sys.stdin.readline().strip())


def for_configuration(answers: Answers, file: ConfigurationFile, person: Person) -> Answers:
    """The answers with what the configuration file of staging or production needs."""
    if not answers.is_public:
        return answers
    hostname = answers.hostname or file.chosen("postal.web_hostname")
    if not hostname:
        question = "Host name of the web interface and the API, such as postal.example.com"
        hostname = person.ask("--hostname", question, values.public_host)
    smtp_hostname = answers.smtp_hostname or file.chosen("postal.smtp_hostname")
    if not smtp_hostname:
        question = "Host name of the mail server, for MX records"
        smtp_hostname = person.ask("--smtp-hostname", question, values.public_host, hostname)
    answers = replace(answers, hostname=hostname, smtp_hostname=smtp_hostname)
    answers.require_public_hosts()  # those of the file as well
    if person.is_there and file.config.delivery.mode == CATCH:
        answers = _beyond_development(answers, file, person)
    is_listed = answers.allow or file.chosen("delivery.allowlist")
    if person.is_there and answers.mode is Mode.STAGING and not is_listed:
        question = "Addresses and domains that get their mail, separated by blanks (empty: nobody yet)"
        answers = replace(answers, allow=person.ask("--allow", question, _allowed, ""))
    return answers


def _beyond_development(answers: Answers, file: ConfigurationFile, person: Person) -> Answers:
    """The answers with what an installation that only caught mail has to be told."""
    if not answers.database and not file.chosen("storage.url"):
        answers = replace(answers, database=_database(file.config, person))
    if not answers.mx and not answers.relays and not file.chosen("postal.smtp_relays"):
        question = "Relay (smtp://user@host:587?ssl_mode=STARTTLS; empty: straight to the recipients' hosts)"
        relay = _with_password(person.ask("--relay", question, _optional(values.relay), ""), person)
        answers = replace(answers, relays=(relay,)) if relay else replace(answers, mx=True)
    if not answers.certificate and not file.chosen("smtp_server.tls_certificate_path"):
        answers = _certificate(answers, person)
    return answers


def for_mail_server(answers: Answers, config: Config, person: Person) -> Answers:
    """The answers with what the first mail server needs. `config` is what will be in effect."""
    if config.catches_all_mail:
        return replace(answers, domains=answers.domains or ("localhost",))
    if not answers.domains:
        parent = config.postal.web_hostname.partition(".")[2]
        default = parent if person.is_there and "." in parent else None
        question = "Domain that mail is sent from, such as example.com"
        answers = replace(answers, domains=(person.ask("--domain", question, values.domain, default),))
    if person.is_there and not answers.webhook:
        question = "URL for events (https://user:password@host/anymail/postal/tracking/; empty: none)"
        answers = replace(answers, webhook=person.ask("--webhook", question, _optional(values.url), ""))
    if person.is_there and not answers.inbound:
        question = f"URL for mail to reply@{answers.domains[0]} (.../anymail/postal/inbound/; empty: none)"
        answers = replace(answers, inbound=person.ask("--inbound", question, _optional(values.url), ""))
    return answers


def _database(config: Config, person: Person) -> str:
    """The URL of a database that answers."""
    question = "Database (postgresql://user@host/name; empty: a SQLite file beside the configuration)"
    while True:
        given = _with_password(person.ask("--database", question, _optional(values.database), ""), person)
        url = given or str(DEVELOPMENT["storage.url"])
        why = database.problem(replace(config, storage=replace(config.storage, url=url)))
        if not why:
            return url
        print(f"  {why}")


def _with_password(url: str, person: Person) -> str:
    """The URL with the password of its user, which is asked for unless the URL has it."""
    parts = urlsplit(url)
    if not parts.username or parts.password is not None:
        return url
    password = person.ask_secretly(f"Password of {parts.username} (not shown; empty: none)")
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user}:{quote(password, safe='')}@{host}" if password else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc))


def _certificate(answers: Answers, person: Person) -> Answers:
    paths = [LETSENCRYPT.format(host=answers.smtp_hostname, file=file) for file in ("fullchain", "privkey")]
    chain, key = paths if os.path.exists(paths[0]) else ("", "")
    question = "Certificate for SMTP (PEM file with the chain; empty: one that is self-signed)"
    certificate = person.ask("--certificate", question, _optional(_file), chain)
    if not certificate:
        return answers
    beside = key if certificate == chain else ""
    key = person.ask("--key", "Its private key (PEM file)", _file, beside)
    return replace(answers, certificate=os.path.abspath(certificate), key=os.path.abspath(key))


def _file(text: str) -> str:
    try:
        Path(text).read_bytes()
    except OSError as error:
        raise ValueError(f"{text!r} cannot be read ({error.strerror})") from error
    return text


def _optional(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: check(text) if text else ""


def _allowed(text: str) -> tuple[str, ...]:
    return tuple(values.address_or_domain(word) for word in text.replace(",", " ").split())
