"""Recognize reports among incoming mail: mail about messages that were sent, such as bounces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from postal_server.conf import Config
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Decision

from . import bounce
from .job import Job

# Returns decisions, by message id, about those messages that are reports of its kind. Takes a fixed number of
# queries, and none where there is no such report.
Recognizer = Callable[[Sequence[Job], Directory, Config, datetime], Mapping[int, Decision]]

RECOGNIZERS: Sequence[Recognizer] = (bounce.recognize_bounces,)


def recognize(
    jobs: Sequence[Job], directory: Directory, config: Config, now: datetime
) -> dict[int, Decision]:
    """The decisions about the reports among these incoming messages, by message id.

    The first recognizer that knows a message decides.
    """
    decisions: dict[int, Decision] = {}
    for recognizer in RECOGNIZERS:
        unknown = [job for job in jobs if job.message.id not in decisions]
        decisions |= recognizer(unknown, directory, config, now)
    return decisions
