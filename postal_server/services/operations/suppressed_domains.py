"""Look each day whether domains that took no mail do so again. Talks to DNS through what it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from postal_server.mail.address import split_address
from postal_server.models import Suppression
from postal_server.rules.suppression import Reason
from postal_server.services.results import suppression_entries as entries
from postal_server.services.results import suppression_event, webhook
from postal_server.services.shared.dns_questions import Ask, Question
from postal_server.services.shared.loader import load
from postal_server.services.shared.rows import Transaction

STEP = 100  # entries whose domains are asked about at a time: dead ones may take seconds each
LEAST_AGE = timedelta(days=1)
BY_CHECK = "domain has MX again"


def check(now: datetime, ask: Ask, write_transaction: Transaction = transaction.atomic) -> int:
    """End the entries of domains that have mail hosts again; how many."""
    ended, directory = 0, None
    for step in _steps(now):
        of_domain = [(row, Question(split_address(row.key)[1], "MX")) for row in step]
        answers = ask(sorted({question for _, question in of_domain}, key=lambda question: question.name))
        back = [row for row, question in of_domain if _takes_mail(answers.get(question))]
        if back:
            directory = directory or load()
            with write_transaction():
                entries.mark_ended(back, now, BY_CHECK)
                webhook.emit(suppression_event.removed(back, directory), directory, now)
            ended += len(back)
    return ended


def _steps(now: datetime) -> Iterator[Sequence[Suppression]]:
    rows = entries.standing(now).filter(reason=Reason.BAD_DOMAIN.value, created_at__lte=now - LEAST_AGE)
    last = 0
    while step := list(rows.filter(pk__gt=last).order_by("pk")[:STEP]):
        yield step
        last = step[-1].pk


def _takes_mail(records: Sequence[str] | None) -> bool:
    """Do these MX records name a host? Not a failed look-up (None), and not the null MX of RFC 7505."""
    return any(text.split()[-1].rstrip(".") for text in records or () if text.split())
