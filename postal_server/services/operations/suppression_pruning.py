"""Forget failures and entries that decide nothing any more. Runs each night."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from postal_server.models import FailureEvidence, Suppression
from postal_server.rules.suppression import HISTORY_KEPT, STRIKES_KEPT, YEAR
from postal_server.services.shared.rows import Transaction

STEP = 1000  # rows a transaction


def prune(now: datetime, write_transaction: Transaction = transaction.atomic) -> int:
    """Delete failures after 30 days, ended entries after 90, and expired ones once they do not count for the
    next time, a year after they came on; returns how many entries.
    """
    _delete(FailureEvidence, Q(created_at__lte=now - STRIKES_KEPT), write_transaction)
    ended = Q(ended_at__lte=now - HISTORY_KEPT)
    expired = Q(keep_until__lte=now - HISTORY_KEPT, created_at__lte=now - YEAR)
    return sum(_delete(Suppression, which, write_transaction) for which in (ended, expired))


def _delete(
    model: type[FailureEvidence] | type[Suppression], which: Q, write_transaction: Transaction
) -> int:
    deleted = 0
    rows = model._default_manager.filter(which).values_list("pk", flat=True)
    while ids := list(rows[:STEP]):
        with write_transaction():
            # Entries that came on once more meanwhile stay.
            deleted += model._default_manager.filter(which, pk__in=ids).delete()[0]
    return deleted
