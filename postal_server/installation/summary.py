"""What `initialize` says when it is done: what it made, what to publish, what to copy, what to do next."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Q

from postal_server import conf
from postal_server.conf import Config
from postal_server.models import Domain
from postal_server.services.shared.delivery_policy import policy_of

from . import checks, project, records
from .answers import Answers
from .changes import Plan
from .checks import TakenPorts
from .mail_server import Made
from .values import is_private_host, user_name

KEYS = """\
  API URL   {url}
  API key   {new.api_key}
  SMTP key  {new.smtp_key} (user name {new.server}, port {port})
The keys are not shown again; more can be made in the administration."""


@dataclass(frozen=True)
class Done:
    """Files that are new, files that were closed to others, and what was made of the mail server."""

    made: Sequence[Path]
    shut: Sequence[Path]
    rows: Made

    def is_nothing(self, plan: Plan) -> bool:
        has_file = plan.file.exists and not plan.changes
        return has_file and not self.made and not self.shut and not self.rows.changes and not self.rows.new


def lines(answers: Answers, plan: Plan, done: Done, taken: TakenPorts) -> Iterator[str]:
    """All of it. Secrets are among them, if they are new."""
    config, rows = plan.config, done.rows
    yield from _files(plan, done)
    yield "The database is up to date."
    yield from _mail_server(config, done.rows)
    if done.is_nothing(plan):
        yield "There was nothing to change."
    remarks = (*config.warnings, *checks.remarks(answers, config))
    for note in (*plan.kept, *remarks, *taken.in_the_way, *taken.of_health_servers):
        yield f"Note: {note}"
    is_asked = answers.is_public or not done.is_nothing(plan)
    domains = _domains(rows)
    public = [domain for domain in domains if not is_private_host(domain.name)]
    if is_asked and public and not config.catches_all_mail:
        yield ""
        yield from records.zone(config, public, records.public_addresses())
    if rows.server and domains and (rows.new or rows.changes):
        sender = answers.domains[0] if answers.domains else (public or domains)[0].name
        yield project.settings(config, rows.server, sender, rows.new.api_key if rows.new else "")
    if is_asked and not answers.no_server:
        yield from _next(answers, config, taken, is_changed=bool(plan.changes))


def _files(plan: Plan, done: Done) -> Iterator[str]:
    if not plan.file.exists:
        yield f"made {plan.file.path}"
    for path in done.made:
        yield f"made {path}"
    if plan.file.exists and plan.changes:
        yield f"changed {plan.file.path}:"
        yield from (f"  {change}" for change in plan.changes)
    for path in done.shut:
        yield f"only for its owner from now on: {path}"


def _mail_server(config: Config, rows: Made) -> Iterator[str]:
    if rows.new:
        names = ", ".join(domain.name for domain in _domains(rows))
        yield f"Made mail server {rows.server} with domain {names}. {_senders(config, names)}"
        yield from (f"  {change}" for change in rows.changes if not change.startswith("domain "))
        yield KEYS.format(url=project.base_url(config), new=rows.new, port=project.submission_port(config))
    elif rows.changes:
        yield f"changed mail server {rows.server}:"
        yield from (f"  {change}" for change in rows.changes)


def _senders(config: Config, names: str) -> str:
    if config.catches_all_mail:
        return "It may send as anybody, but only while all mail is caught here (delivery.mode: catch)."
    return f"It may send from addresses at {names} only; {policy_of(config)}."


def _domains(rows: Made) -> list[Domain]:
    if rows.server is None:
        return []
    owned = Q(server=rows.server) | Q(organization=rows.server.organization)
    return list(Domain.objects.filter(owned).order_by("id"))


def _next(answers: Answers, config: Config, taken: TakenPorts, *, is_changed: bool) -> Iterator[str]:
    command = "postal-server"
    if config.path != conf.DEFAULT_PATH.absolute():
        command += f" --config {config.path}"
    steps = (
        _start(answers, command, taken, is_changed=is_changed),
        (f"{command} make-user", f"makes an administrator for {project.base_url(config)}/admin/"),
        ("python manage.py postal_check", "looks from the project whether all fits"),
    )
    width = max(len(step) for step, _ in steps)
    yield "Next:"
    yield from (f"  {step:<{width}}  {about}" for step, about in steps)


def _start(answers: Answers, command: str, taken: TakenPorts, *, is_changed: bool) -> tuple[str, str]:
    """The command that starts the server, and what it does."""
    if taken.is_running:
        return (
            f"{command} run",
            "to be started again: it reads this at the start" if is_changed else "runs already",
        )
    if answers.is_public and shutil.which("systemd-sysusers"):
        user = "" if os.geteuid() == 0 else f" --user {user_name(os.geteuid())}"
        return f"sudo {command} service install{user} --certbot --nginx", "lets systemd run it"
    return f"{command} run", "starts it"
