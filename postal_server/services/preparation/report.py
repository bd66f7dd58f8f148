"""Mail that came in and tells of mail of ours. Each kind of report has a recogniser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from postal_server.conf import Config
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.work import Decision

from . import bounce
from .job import Job

# Decides about those of the messages that are reports of its kind, by message id; in a few queries for all.
Recogniser = Callable[[Sequence[Job], Directory, Config, datetime], Mapping[int, Decision]]

RECOGNISERS: Sequence[Recogniser] = (bounce.recognise_bounces,)


def recognise(
    jobs: Sequence[Job], directory: Directory, config: Config, now: datetime
) -> dict[int, Decision]:
    """What is decided about the reports among these incoming messages, by message id.

    The first recogniser that knows a message counts. Without reports there is no query.
    """
    decisions: dict[int, Decision] = {}
    for recogniser in RECOGNISERS:
        unknown = [job for job in jobs if job.message.id not in decisions]
        decisions |= recogniser(unknown, directory, config, now)
    return decisions
