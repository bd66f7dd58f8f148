"""Report each day's TLS sessions to the domains that ask for it (RFC 8460). Runs each night."""

from __future__ import annotations

import email.utils
import itertools
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from postal_server.conf import Config
from postal_server.mail import tls_report as mail
from postal_server.mail.address import split_address
from postal_server.models import TlsResult
from postal_server.rules.status import Scope
from postal_server.services.acceptance.storage import store
from postal_server.services.shared import ip_pool
from postal_server.services.shared.delivery_policy import policy_of
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.dns_questions import Ask, Question
from postal_server.services.shared.entries import DomainEntry, ServerEntry
from postal_server.services.shared.loader import load
from postal_server.services.shared.recipient import envelope_recipient
from postal_server.services.shared.rows import Transaction, chunks
from postal_server.services.shared.work import Accepted, NewMessage

logger = logging.getLogger(__name__)

# Posts a body with this content type; the answer's status, or a negative number.
PostBody = Callable[[str, str, bytes], int]

KEPT_DAYS = 3  # that a report is tried for
DOMAINS_A_STEP = 50


def send(config: Config, now: datetime, ask: Ask, post: PostBody, write_transaction: Transaction) -> int:
    """Report the days before today; how many reports. What cannot be sent is tried for three days."""
    today = now.date()
    with write_transaction():
        TlsResult.objects.filter(day__lt=today - timedelta(days=KEPT_DAYS)).delete()
    if not config.tls_reports.enabled:
        return 0
    directory = load()
    origin = directory.mail_domain(split_address(config.smtp.from_address)[1])
    server = directory.server_of_domain(origin) if origin else None
    if origin is None or server is None:
        logger.warning("tls_reports: no mail server has the domain of smtp.from_address; none are sent")
        return 0
    sender = Sender(config, directory, server, origin, post, write_transaction)
    done = 0
    waiting = TlsResult.objects.filter(day__lt=today).order_by("day", "domain")
    pairs = list(waiting.values_list("day", "domain").distinct())
    for step in chunks(pairs, DOMAINS_A_STEP):
        names = {domain: Question(f"{mail.RECORD_NAME}.{domain}", "TXT") for _, domain in step}
        answers = ask(list(names.values()))
        for day, domain in step:
            records = answers.get(names[domain])
            if records is not None:
                done += sender.report(day, domain, mail.addresses(records), now)
    return done


@dataclass(frozen=True)
class Sender:
    """Sends reports as mail of `server`, signed for the domain `origin`, or posts them."""

    config: Config
    directory: Directory
    server: ServerEntry
    origin: DomainEntry
    post: PostBody
    write_transaction: Transaction

    def report(self, day: date, domain: str, addresses: Sequence[str], now: datetime) -> bool:
        """Send the report of a day to a domain, and forget what it was made of. Was it sent?"""
        rows = TlsResult.objects.filter(day=day, domain=domain)
        report = mail.Report(
            id=f"{uuid.uuid4().hex}@{self.origin.name}",
            organization=self.config.postal.smtp_hostname,
            contact=self.config.smtp.from_address,
            domain=domain,
            day=day,
            policies=_policies(list(rows.order_by("policy_type", "id"))),
        )
        urls = [address for address in addresses if address.startswith("https:")]
        recipients = [address for address in addresses if not address.startswith("https:")]
        # A mailed report is caught where other mail is; none is posted to whom no mail may reach any more.
        may_post = policy_of(self.config).may_reach(domain)
        posted = [url for url in urls if may_post and self._posted(url, report)]
        if addresses and not recipients and not posted:
            return False
        with self.write_transaction():
            if recipients:
                self._mail(report, recipients, now)
            rows.delete()
        return bool(addresses)

    def _posted(self, url: str, report: mail.Report) -> bool:
        status = self.post(url, mail.MEDIA_TYPE, report.compressed())
        if not 200 <= status <= 299:
            logger.warning("The TLS report for %s cannot be posted: %d", report.domain, status)
        return 200 <= status <= 299

    def _mail(self, report: mail.Report, recipients: Sequence[str], now: datetime) -> None:
        message_id = f"{uuid.uuid4()}@{self.config.dns.return_path_domain}"
        raw = mail.compose(
            report,
            recipients,
            message_id=message_id,
            date=email.utils.format_datetime(now),
            name=self.config.smtp.from_name,
        )
        messages = []
        for recipient in recipients:
            rcpt_to, destination = envelope_recipient(recipient)
            messages.append(
                NewMessage(self.server.id, Scope.OUTGOING, rcpt_to, destination, domain_id=self.origin.id)
            )
        accepted = Accepted(
            raw,
            tuple(messages),
            mail_from=report.contact,
            subject=f"Report Domain: {report.domain}",
            message_id=message_id,
        )
        lifetime = timedelta(hours=self.config.delivery.max_lifetime_hours)
        store(ip_pool.bind([accepted], self.directory, self.config), now, lifetime)


def _policies(rows: Sequence[TlsResult]) -> list[mail.PolicyResult]:
    """`rows` are ordered by their policies."""
    return [
        _policy(kind, list(group)) for kind, group in itertools.groupby(rows, key=lambda row: row.policy_type)
    ]


def _policy(kind: str, rows: Sequence[TlsResult]) -> mail.PolicyResult:
    latest = next((row for row in reversed(rows) if row.policy), rows[-1])
    return mail.PolicyResult(
        kind,
        latest.policy.splitlines(),
        latest.hosts.splitlines(),
        successes=sum(row.count for row in rows if not row.failure),
        failures=[
            mail.Failures(row.failure, row.count, row.host, row.address, row.source, row.reason)
            for row in rows
            if row.failure
        ],
    )
