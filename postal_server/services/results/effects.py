"""The steps that apply the effects of results, besides deliveries and statuses, in their order.

Each `apply(batch)` takes a fixed number of queries whatever the size of the batch, and none where the effect
does not occur. Some effects follow from outcomes; others are values that decisions carry (`work.Effect`).
To add one, write its module, add it below, and let something decide on it: a check in `services.preparation`,
or for reports a recognizer in `services.preparation.report`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import (
    arrival,
    autoreply,
    bounce,
    classification,
    delay,
    delivery_event,
    endpoint_use,
    failure_notice,
    hold,
    operator_answers,
    report,
    report_limit,
    suppression,
    tls_sessions,
    warm_up,
)
from .batch import Batch

EFFECT_STEPS: Sequence[Callable[[Batch], None]] = (
    classification.apply,  # first: events tell it, and others depend on it
    hold.apply,  # events tell why and until when
    delivery_event.apply,  # the event of an attempt precedes those that follow from it
    suppression.apply,  # adds a sentence to the details of outgoing mail
    failure_notice.apply,  # quotes the details of incoming mail, and adds a sentence
    report.apply,  # finds out which reports say something new, for the next ones
    bounce.apply,  # suppresses too, after the answers of this batch
    autoreply.apply,
    delay.apply,
    arrival.apply,
)
# Applied once the batch is written and its events are stored, so that rows that all workers update are locked
# for a short time. They may not use the methods by which effects add to a batch. Workers update these rows in
# this order, and each effect goes through its rows in the order of their keys: otherwise they could deadlock.
EFFECT_STEPS_ON_SHARED_ROWS: Sequence[Callable[[Batch], None]] = (
    operator_answers.apply,
    tls_sessions.apply,
    warm_up.apply,
    endpoint_use.apply,
    report_limit.apply,
)
