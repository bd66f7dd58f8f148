"""The mail server that an installation begins with, and what is added to it later: rows of the database.

Needs Django, unlike the other modules here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Q

from postal_server.conf import Config
from postal_server.engine.database import unusable
from postal_server.errors import ConfigurationError
from postal_server.models import Domain, HTTPEndpoint, Organization, Route, Server, Webhook
from postal_server.rules.status import RouteMode
from postal_server.services.operations import provisioning
from postal_server.services.operations.provisioning import NewServer

from .answers import Answers
from .values import without_user

REPLY = "reply"  # the local part that --inbound makes a route for


@dataclass(frozen=True)
class Change:
    """Something to do, and what to say of it."""

    says: str
    apply: Callable[[], object]


@dataclass(frozen=True)
class Made:
    """The mail server, and what was changed of it; if it is new, with the keys that are shown only now."""

    server: Server | None
    new: NewServer | None
    changes: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """How a database stands.

    `is_used`: it has mail servers, or organizations that had some. `is_outdated`: it lacks migrations.
    """

    is_used: bool = False
    is_outdated: bool = False


def look(config: Config) -> State:
    """How the database stands. Makes no SQLite file. Raises `ConfigurationError` if it does not answer."""
    if config.sqlite_file and not config.sqlite_file.exists():
        return State()
    try:
        executor = MigrationExecutor(connection)
        if not executor.loader.applied_migrations:
            return State()
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        has_tables = Organization._meta.db_table in connection.introspection.table_names()
        return State(has_tables and Organization.objects.exists(), bool(missing))
    except DatabaseError as error:
        raise ConfigurationError(unusable(error, config)) from error


def existing(answers: Answers) -> Server | None:
    """The mail server that options are about: the only one, or the one that has the first domain.

    None if it cannot be told.
    """
    alive = Server.objects.filter(deleted_at=None, organization__deleted_at=None).order_by("id")
    if answers.domains and (found := alive.filter(domains__name=answers.domains[0]).first()):
        return found
    first_two = alive[:2]
    return first_two[0] if len(first_two) == 1 else None


def foreseen(answers: Answers, config: Config, now: datetime) -> list[str]:
    """What `make` will say of a mail server that is there. Raises `ConfigurationError` where it would.

    Tables of an earlier version may lack a column that this reads. Then they say nothing before they are up
    to date, and only `make` finds what it has to refuse.
    """
    try:
        return [change.says for change in wanted(answers, config, now, existing(answers))]
    except DatabaseError:
        return []


def make(answers: Answers, config: Config, now: datetime) -> Made:
    """Make the first mail server, and what the options ask for. Call it in a transaction.

    Raises `ConfigurationError` where an option cannot have its way.
    """
    new = None
    if not answers.no_server and not Organization.objects.exists():
        new = provisioning.add_server(provisioning.organization("Example"), "Main")
    server = new.server if new else existing(answers)
    planned = wanted(answers, config, now, server)
    for change in planned:
        change.apply()
    return Made(server, new, tuple(change.says for change in planned))


def wanted(answers: Answers, config: Config, now: datetime, server: Server | None) -> list[Change]:
    """What the options ask for and the mail server does not have yet.

    Raises `ConfigurationError` for what it has differently, if only a person can decide what becomes of that.
    """
    if not (answers.domains or answers.webhook or answers.inbound):
        return []
    if server is None:
        raise ConfigurationError(
            "--domain, --webhook and --inbound are for the one mail server of an installation, but there is "
            "none here, or more than one. Use the administration."
        )
    problems: list[str] = []
    changes = [
        *_domains(answers, config, now, server, problems),
        *_webhook(answers, server, problems),
        *_inbound(answers, server, problems),
    ]
    if problems:
        raise ConfigurationError("\n".join(problems))
    return changes


def _domains(
    answers: Answers, config: Config, now: datetime, server: Server, problems: list[str]
) -> Iterator[Change]:
    for name in answers.domains:
        found = Domain.objects.filter(name=name)
        if found.filter(Q(server=server) | Q(organization=server.organization)).exists():
            continue
        if other := found.first():
            problems.append(f"--domain: {name} belongs to {other.server or other.organization} already.")
            continue
        add = partial(provisioning.add_domain, server, name, now, only_where_caught=config.catches_all_mail)
        yield Change(f"domain {name}", add)


def _webhook(answers: Answers, server: Server, problems: list[str]) -> Iterator[Change]:
    url = answers.webhook
    if not url:
        return
    hooks = list(Webhook.objects.filter(server=server).order_by("id"))
    place = without_user(url)
    if same := next((hook for hook in hooks if hook.url == url), None):
        if not same.enabled:
            problems.append(f"--webhook: the one to {place} is switched off. Use the administration.")
    elif near := next((hook for hook in hooks if _place(hook.url) == _place(url)), None):
        yield Change(f"webhook {place}: another user or password", partial(_set_url, near, url))
    else:
        others = ", ".join(without_user(hook.url) for hook in hooks)
        beside = f", beside {others}" if others else ""
        yield Change(f"webhook {place}{beside}", partial(provisioning.add_webhook, server, url))


def _inbound(answers: Answers, server: Server, problems: list[str]) -> Iterator[Change]:
    url = answers.inbound
    if not url:
        return
    place = without_user(url)
    route = _reply_route(answers, server)
    endpoint = route.http_endpoint if route else None
    if route is None:
        yield Change(
            f"route {REPLY}@{_reply_domain(answers, server)} to {place}", partial(_add_route, answers, server)
        )
    elif endpoint is None or route.mode != RouteMode.ENDPOINT.value:
        problems.append(f"--inbound: {route} goes elsewhere than to a URL. Use the administration.")
    elif endpoint.url != url:
        was = without_user(endpoint.url)
        what = "another user or password" if _place(endpoint.url) == _place(url) else f"instead of {was}"
        yield Change(f"route {route} to {place}: {what}", partial(_set_url, endpoint, url))


def _reply_route(answers: Answers, server: Server) -> Route | None:
    routes = Route.objects.filter(server=server, name=REPLY).select_related("http_endpoint", "domain")
    if answers.domains:
        routes = routes.filter(domain__name=answers.domains[0])
    return routes.order_by("id").first()


def _reply_domain(answers: Answers, server: Server) -> str:
    """The first domain given, or the first that the mail server has."""
    if answers.domains:
        return answers.domains[0]
    domain = Domain.objects.filter(server=server).order_by("id").first()
    if domain is None:
        raise ConfigurationError("--inbound needs --domain: the mail server has no domain yet.")
    return domain.name


def _add_route(answers: Answers, server: Server) -> None:
    name = _reply_domain(answers, server)
    owned = Domain.objects.filter(Q(server=server) | Q(organization=server.organization), name=name)
    domain = owned.order_by("id")[0]
    provisioning.add_http_route(server, domain, REPLY, answers.inbound)


def _place(url: str) -> str:
    """The URL without its user and password."""
    return url.partition("//")[2].rpartition("@")[2]


def _set_url(row: Webhook | HTTPEndpoint, url: str) -> None:
    row.url = url
    row.save(update_fields=["url"])
