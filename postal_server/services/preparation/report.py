"""Recognize reports among incoming mail: mail about messages that were sent, such as bounces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from postal_server.conf import Config
from postal_server.mail.report import Kind, read
from postal_server.rules.classification import Ours
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results.report import Reported, linked
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Changes, Decision

from . import autoreply, delivery_status, evidence
from .job import Job
from .read_report import ReadReport

KEPT = "Kept: no outgoing message could be found for it."

# What follows from a report of a kind, for each message that it is about. They take no queries.
Recognizer = Callable[[ReadReport, Ours], Sequence[Reported]]
RECOGNIZERS: Mapping[Kind, Recognizer] = {
    Kind.BOUNCE: delivery_status.recognize,
    Kind.DELAYED: delivery_status.recognize,
    Kind.DELIVERED: delivery_status.recognize,
    Kind.RELAYED: delivery_status.recognize,
    Kind.EXPANDED: delivery_status.recognize,
    Kind.AUTOREPLY: autoreply.recognize,
    Kind.CHALLENGE: autoreply.recognize,
}
# What people write, or programs that nobody knows: for the application, if it has a route for it.
FOR_THE_ROUTE = frozenset((Kind.REPLY, Kind.UNRECOGNISED))


@dataclass(frozen=True)
class Recognized:
    """A report that was recognized: the decision about it, and what is noted on it whoever gets it.

    `is_for_route`: the route of return paths gets it, if there is one.
    """

    decision: Decision
    changes: Changes
    is_for_route: bool


def recognize(
    jobs: Sequence[Job], directory: Directory, config: Config, now: datetime
) -> dict[int, Recognized]:
    """The reports among these incoming messages, by message id.

    Takes the queries of `evidence.find`, none without reports.
    """
    read_reports = [
        (job, read(job.body or b"", job.message.mail_from)) for job in jobs if job.message.is_report
    ]
    if not read_reports:
        return {}
    found = evidence.find(read_reports, directory, config, now)
    return {
        job.message.id: decide(ReadReport(job, report, about), directory.ours)
        for (job, report), about in zip(read_reports, found, strict=True)
    }


def decide(read_report: ReadReport, ours: Ours) -> Recognized:
    """What becomes of a report: what follows for each message that it is about, or that it is kept."""
    recognizer = RECOGNIZERS.get(read_report.report.kind, _note)
    effects = tuple(recognizer(read_report, ours))
    if effects:
        first = effects[0]
        assert first.original_id is not None
        details = linked(first.kind, first.original_id)
    else:
        first = read_report.reported(None, Reported)
        effects = (first,)
        details = " ".join(filter(None, (KEPT, read_report.found.why_not)))
    changes = Changes(kind=first.kind.value, bounce_for_id=first.original_id)
    is_for_route = first.original_id is None or first.kind in FOR_THE_ROUTE
    claimed = read_report.job.claimed
    decision = Decision(claimed, DeliveryStatus.PROCESSED, details, changes=changes, effects=effects)
    return Recognized(decision, changes, is_for_route)


def _note(read_report: ReadReport, ours: Ours) -> Sequence[Reported]:
    """Of a kind from which nothing follows."""
    return [read_report.reported(original, Reported) for original in read_report.found.originals]
