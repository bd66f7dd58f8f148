"""Rewrite links and insert the open pixel: once per message, before it is signed. Source: contract 8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from postal_server.mail import tracking
from postal_server.models import Link
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import TrackDomainEntry
from postal_server.services.shared.token import link_token, message_token

from .job import Job


@dataclass(frozen=True)
class Plan:
    """How one message is rewritten. Without a `domain` only `+notrack` marks are removed (Q17)."""

    job: Job
    domain: TrackDomainEntry | None

    @property
    def _site(self) -> str:
        if self.domain is None:
            return ""
        return f"{'https' if self.domain.ssl_enabled else 'http'}://{self.domain.host}"

    def draft(self) -> tracking.Draft | None:
        """What changes in the text, or None for nothing."""
        domain, server = self.domain, self.job.server.token
        pixel = f"{self._site}/img/{server}/{message_token(self.job.message.id)}"
        return tracking.draft(
            self.job.body or b"",
            pixel_url=pixel if domain and domain.track_loads else None,
            excluded=domain.excluded_hosts if domain else frozenset(),
            track_clicks=domain is not None and domain.track_clicks,
        )

    def address(self, link: Link) -> str:
        """Where a reader finds a tracked link."""
        return f"{self._site}/{self.job.server.token}/{link_token(link.pk)}"


def rewrite(jobs: Sequence[Job], directory: Directory, now: datetime) -> dict[int, bytes]:
    """The changed text of each message that has something to change, by message id.

    Links are stored before any mail with them can be sent: one query for a batch, none without links.
    """
    plans = [plan for job in jobs if (plan := _plan(job, directory))]
    drafts = [(plan, draft) for plan in plans if (draft := plan.draft())]
    rows = [
        Link(server_id=plan.job.server.id, message_id=plan.job.message.id, url=url, created_at=now)
        for plan, draft in drafts
        for url in draft.targets
    ]
    # Addresses are made of the ids that rows get when they are stored.
    links = iter(Link.objects.bulk_create(rows) if rows else [])
    return {
        plan.job.message.id: draft.write([plan.address(next(links)) for _ in draft.targets])
        for plan, draft in drafts
    }


def _plan(job: Job, directory: Directory) -> Plan | None:
    """How to rewrite a message, if there is anything to do and it was not done before."""
    if job.message.is_rewritten or job.body is None:
        return None
    domain = directory.track_domains.get((job.server.id, job.message.domain_id or 0))
    if domain is not None and domain.is_ok:
        return Plan(job, domain)
    return Plan(job, None) if tracking.may_be_marked(job.body) else None
