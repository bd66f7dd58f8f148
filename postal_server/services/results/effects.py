"""What recording a batch does besides writing deliveries and statuses, and in which order.

An effect is applied to a whole batch, in a number of queries that does not grow with it; a batch without
anything for it costs no query. Some follow from what was answered, others are carried by decisions.
A new one is a module here with its `apply`, a line below, and what decides on it: for reports that is a line
in `services.preparation.report`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import bounce, delivery_event, endpoint_use, failure_notice, suppression, tls_sessions, warm_up
from .batch import Batch

EFFECTS: Sequence[Callable[[Batch], None]] = (
    delivery_event.apply,  # first: who listens hears of an attempt before what follows from it
    suppression.apply,  # adds to the details of outgoing mail
    failure_notice.apply,  # quotes the details of incoming mail, and adds to them
    bounce.apply,  # suppresses too: after the evidence of this batch
    # What all workers write to comes last, and in this order, so that none waits for long, or for ever.
    tls_sessions.apply,
    warm_up.apply,
    endpoint_use.apply,
)
