"""Drop reports about a message of which enough are kept, and count them.

Somebody who knows the token of one message may send a thousand reports about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from django.db.models import Case, F, Max, Value, When

from postal_server.models import Body, Delivery, Message, Report

from .batch import Batch

SHARED_WITHIN = 2000  # ids from a text to the last message that may have it: those of one submission


def apply(batch: Batch) -> None:
    """Seven queries, none where nothing is too much."""
    if not batch.surplus:
        return
    _count(Counter(original_id for _, original_id in batch.surplus))
    too_much = {entry.message.id: entry.message for entry, _ in batch.surplus}
    kept = set(Report.objects.filter(message_id__in=too_much.keys()).values_list("message_id", flat=True))
    _delete({number: message for number, message in too_much.items() if number not in kept})


def _count(surplus: Mapping[int, int]) -> None:
    """Add to the number at the newest report of each message."""
    of_messages = Report.objects.filter(original_id__in=surplus.keys()).values_list("original_id")
    newest = dict(of_messages.annotate(Max("pk")))
    added = Case(*(When(pk=pk, then=Value(surplus[number])) for number, pk in sorted(newest.items())))
    Report.objects.filter(pk__in=newest.values()).update(surplus=F("surplus") + added)


def _delete(reports: Mapping[int, Message]) -> None:
    Delivery.objects.filter(message_id__in=reports.keys()).delete()
    Message.objects.filter(pk__in=reports.keys()).delete()
    texts = {message.body_id for message in reports.values() if message.body_id is not None}
    if texts:
        Body.objects.filter(pk__in=texts - _in_use(texts)).delete()


def _in_use(texts: Collection[int]) -> set[int | None]:
    """Those that other messages of their submission have. The id of a text is that of the first of them."""
    near = Message.objects.filter(pk__range=(min(texts), max(texts) + SHARED_WITHIN), body_id__in=texts)
    return set(near.values_list("body_id", flat=True))
