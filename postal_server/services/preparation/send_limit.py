"""Send limits: count the attempts of the last hour, hold what exceeds the limit, notify. Contract 10.3."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from postal_server.conf import Config
from postal_server.models import Counter, Server
from postal_server.rules import hold
from postal_server.rules.hold import Hold
from postal_server.services.results.webhook import WebhookEvent, emit
from postal_server.services.shared import counters, operator_mail
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import ServerEntry
from postal_server.services.shared.loader import load
from postal_server.wire import webhook as wire

logger = logging.getLogger(__name__)

WINDOW_MINUTES = 60
NOTE_LASTS = timedelta(minutes=3)
NOTICE_EVERY = timedelta(hours=1)


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // 60


def _prefix(server_id: int) -> str:
    return f"sent:{server_id}:"


def volumes(servers: Sequence[ServerEntry], now: datetime) -> dict[int, int]:
    """The attempts of the last 60 minutes of each server that has a limit. One query for one or more."""
    limited = {server.id for server in servers if server.send_limit is not None}
    found: dict[int, int] = dict.fromkeys(limited, 0)
    if not limited:
        return found
    first = _minute(now) - WINDOW_MINUTES + 1
    names = [f"{_prefix(number)}{minute}" for number in limited for minute in range(first, _minute(now) + 1)]
    for name, value in Counter.objects.filter(name__in=names).values_list("name", "value"):
        found[int(name.split(":")[1])] += value
    return found


def admit(servers: Sequence[ServerEntry], now: datetime) -> list[Hold | None]:
    """For one attempt of each server in `servers`, in order: why it is held, or None; then it is counted.

    Without a limited server there is no query. Counting and reading are one transaction, so that workers do
    not overrun a limit together by more than what they prepare at a time.
    """
    limited = [server for server in servers if server.send_limit is not None]
    if not limited:
        return [None] * len(servers)
    answers: list[Hold | None] = []
    counted: dict[int, int] = defaultdict(int)
    exceeded, approaching = set(), set()
    with transaction.atomic():
        volume = volumes(limited, now)
        for server in servers:
            used = volume.get(server.id, 0) + counted[server.id]
            why = hold.by_send_limit(used, server.send_limit)
            if why:
                exceeded.add(server.id)
            elif server.send_limit is not None:
                counted[server.id] += 1
                if hold.is_limit_approaching(used, server.send_limit):
                    approaching.add(server.id)
            answers.append(why)
        _count(counted, now)
        _note("send_limit_exceeded_at", exceeded, now)
        _note("send_limit_approaching_at", approaching - exceeded, now)
    return answers


def _count(counted: Mapping[int, int], now: datetime) -> None:
    counters.add({f"{_prefix(number)}{_minute(now)}": count for number, count in counted.items() if count})


def _note(field: str, server_ids: set[int], now: datetime) -> None:
    """Remember that a limit was near or reached. `update`: the directory does not hold it."""
    if server_ids:
        Server.objects.filter(pk__in=server_ids).update(**{field: now})


def notify(config: Config, now: datetime) -> int:
    """Notify webhooks and people of limits that were near or reached in the last minutes, at most hourly.

    Returns how many notices there were. Runs each minute; also forgets counts that no window needs.
    """
    directory = load()
    with transaction.atomic():
        notices = [notice for kind in KINDS for notice in _notices(kind, directory, now)]
        emit([notice.event for notice in notices], directory, now)
        _forget(now)
    _mail(notices, config)
    return len(notices)


@dataclass(frozen=True)
class Kind:
    """A kind of notice: the server's fields for when it was due and sent, its event, its words in mails."""

    due_field: str
    sent_field: str
    event: str
    words: str


KINDS = (
    Kind(
        "send_limit_approaching_at",
        "send_limit_approaching_notified_at",
        wire.LIMIT_APPROACHING,
        "is approaching",
    ),
    Kind("send_limit_exceeded_at", "send_limit_exceeded_notified_at", wire.LIMIT_EXCEEDED, "has exceeded"),
)


@dataclass(frozen=True)
class Notice:
    server: ServerEntry
    kind: Kind
    volume: int

    @property
    def event(self) -> WebhookEvent:
        payload = wire.limit_payload(self.server, self.volume, self.server.send_limit or 0)
        return WebhookEvent(self.server.id, self.kind.event, payload)

    @property
    def subject(self) -> str:
        path = f"{self.server.organization_permalink}/{self.server.permalink}"
        return f"[{path}] Mail server {self.kind.words} its send limit"

    def text(self, config: Config) -> str:
        until = "the hour has room" if config.hold.release_send_limit else "a person releases it"
        return (
            f"The mail server {self.server.name} may send {self.server.send_limit} messages an hour.\n"
            f"It sent {self.volume} in the last 60 minutes. What is beyond the limit is held until\n"
            f"{until} or the hold expires.\n"
        )


def _notices(kind: Kind, directory: Directory, now: datetime) -> list[Notice]:
    """The notices that are due now, marked as sent."""
    due = Server.objects.filter(**{f"{kind.due_field}__gt": now - NOTE_LASTS}).filter(
        Q(**{kind.sent_field: None}) | Q(**{f"{kind.sent_field}__lte": now - NOTICE_EVERY})
    )
    ids = list(due.values_list("pk", flat=True))
    servers = [directory.servers[pk] for pk in ids if pk in directory.servers]
    used = volumes(servers, now)
    if ids:
        Server.objects.filter(pk__in=ids).update(**{kind.sent_field: now})
    return [Notice(server, kind, used[server.id]) for server in servers if server.send_limit is not None]


def _mail(notices: Sequence[Notice], config: Config) -> None:
    """Mail each server's postmaster, or the administrators. Failures are only logged."""
    mails = []
    for notice in notices:
        postmaster = notice.server.postmaster_address
        recipients = [postmaster] if postmaster else operator_mail.administrators()
        if recipients:
            text = notice.text(config)
            mails.append(operator_mail.compose(recipients, notice.subject, text, config.smtp))
    try:
        if mails:
            operator_mail.send(mails, config)
    except operator_mail.FAILURES as error:
        logger.warning("The mail about send limits was not sent: %s", error)


def _forget(now: datetime) -> None:
    oldest = _minute(now) - WINDOW_MINUTES
    names = Counter.objects.filter(name__startswith="sent:").values_list("name", flat=True)
    old = [name for name in names if int(name.rsplit(":", 1)[1]) <= oldest]
    if old:
        Counter.objects.filter(name__in=old).delete()
