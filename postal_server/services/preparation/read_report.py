"""A report that was read, with the messages that it is about: what recognizers of reports are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from postal_server.mail.report import Part, Report
from postal_server.services.results.report import FoundBy, Reported

from .evidence import Found, Original
from .job import Job

E = TypeVar("E", bound=Reported)


@dataclass(frozen=True)
class ReadReport:
    job: Job
    report: Report
    found: Found

    def reported(self, original: Original | None, effect: type[E]) -> E:
        """An effect of this kind with what the report says of all its messages, and its first part."""
        found_by = self.found.found_by if original else FoundBy.NOTHING
        return effect(
            original_id=original.id if original else None,
            kind=self.report.kind,
            part=next(iter(self.report.parts), Part()),
            found_by=found_by,
            is_strong=found_by not in (FoundBy.MESSAGE_ID, FoundBy.NOTHING),
            reporting_mta=self.report.reporting_mta,
            recognizer=self.report.recognizer,
        )
