"""Prepare claimed incoming messages: reports, inspection, their route; what is left is posted or forwarded.

The steps and their order are Postal's (contract 4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from postal_server.conf import Config
from postal_server.mail.address import split_address
from postal_server.mail.message import parts
from postal_server.mail.transport_encoding import repair_lines
from postal_server.rules import hold
from postal_server.rules import route as route_rules
from postal_server.rules.hold import HoldReason
from postal_server.rules.status import DeliveryStatus, RouteMode, SpamMode
from postal_server.services.results.failure_notice import GIVEN_UP, NotifySender
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import (
    AddressEndpointEntry,
    HTTPEndpointEntry,
    RouteEntry,
    SMTPEndpointEntry,
)
from postal_server.services.shared.keys import request_key
from postal_server.services.shared.token import message_token, return_path
from postal_server.services.shared.work import (
    Changes,
    Decision,
    HttpDelivery,
    Inspection,
    Prepared,
    SmtpDelivery,
)
from postal_server.wire import endpoint as wire

from . import dsn, inspection, report, target
from .checks import BatchContext, attempts_used_up, check_suspension, check_text, first_decision, held
from .guard import guarded
from .job import Job
from .outgoing import resent_sender

NO_ROUTE = "Message does not have a route and/or endpoint available for delivery."
FAILED_BY_ROUTE = "Message is spam and the route specifies it should be failed."
BOUNCED_BY_ROUTE = "Message has been bounced because the route asks for this."
SEE_NOTICE = " See message <msg:{id}>"
INVALID_ENDPOINT = "Invalid endpoint for route."


@dataclass(frozen=True)
class IncomingContext(BatchContext):
    reports: Mapping[int, report.Recognized]  # by message id

    def route(self, job: Job) -> RouteEntry | None:
        return self.directory.routes.get(job.message.route_id or 0)


def prepare(
    jobs: Sequence[Job], directory: Directory, config: Config, now: datetime
) -> list[Prepared | Decision]:
    """What to post or send, or what was decided, for each job in order. No query unless there are reports."""
    with_text = [job for job in jobs if job.body is not None]
    context = IncomingContext(directory, config, report.recognize(with_text, directory, config, now))
    return [guarded(job.claimed, partial(_prepare, job, context)) for job in jobs]


def _prepare(job: Job, context: IncomingContext) -> Prepared | Decision:
    if decision := first_decision(CHECKS, job, context):
        return decision
    scan, changes = _inspection(job, context)
    if found := context.reports.get(job.message.id):
        noted = found.changes
        changes = replace(changes or Changes(), kind=noted.kind, bounce_for_id=noted.bounce_for_id)
    for judge in JUDGES:
        if decision := judge(job, context, scan):
            return replace(decision, changes=changes)
    return _hand_over(job, context, scan, changes)


# Steps 1 and 2: without inspection.


def _check_attempts(job: Job, context: IncomingContext) -> Decision | None:
    details = attempts_used_up(job, context)
    return Decision(job.claimed, DeliveryStatus.FAILED, details, effects=(GIVEN_UP,)) if details else None


def _check_report(job: Job, context: IncomingContext) -> Decision | None:
    """Reports are done with, but for those that the route of return paths gets."""
    found = context.reports.get(job.message.id)
    if found is None or (found.is_for_route and context.route(job) is not None):
        return None
    return found.decision


CHECKS: Sequence[Callable[[Job, IncomingContext], Decision | None]] = (
    _check_report,  # of mail of the past: suspended servers learn what became of it
    check_suspension,
    _check_attempts,
    check_text,
)


# Step 3: what scanners say goes on top of the stored text, once.


def _inspection(job: Job, context: IncomingContext) -> tuple[Inspection, Changes | None]:
    message, server = job.message, job.server
    if message.is_inspected:
        kept = Inspection(message.spam_score, message.is_spam, message.is_threat, message.threat_details)
        return kept, None
    scan = inspection.inspect(job.body or b"", message, context.config)
    scan = replace(scan, is_spam=scan.score > server.spam_threshold)
    headers = (
        f"X-Postal-Spam: {_yes(scan.is_spam)}\r\n"
        f"X-Postal-Spam-Threshold: {float(server.spam_threshold)}\r\n"
        f"X-Postal-Spam-Score: {scan.score}\r\n"
        f"X-Postal-Threat: {_yes(scan.is_threat)}\r\n"
    )
    return scan, Changes(prefix=headers.encode(), inspection=scan)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


# Steps 4 to 10: as checks, with what scanners found.


def _judge_score(job: Job, context: IncomingContext, scan: Inspection) -> Decision | None:
    threshold = job.server.spam_failure_threshold
    if scan.score < threshold:
        return None
    return Decision(
        job.claimed,
        DeliveryStatus.FAILED,
        "Message's spam score is higher than the failure threshold for this server. "
        f"Threshold is currently {threshold}.",
    )


def _judge_server_mode(job: Job, context: IncomingContext, scan: Inspection) -> Decision | None:
    why = hold.by_mode(job.server.mode, job.claimed.is_manual)
    return held(job, why) if why else None


def _judge_route(job: Job, context: IncomingContext, scan: Inspection) -> Decision | None:
    if context.route(job) is not None:
        return None
    if route_rules.is_role(split_address(job.message.rcpt_to or "")[0]):
        return _kept(job)  # postmaster@ without a route: a person reads it in the administration
    return Decision(job.claimed, DeliveryStatus.FAILED, NO_ROUTE)


def _judge_spam(job: Job, context: IncomingContext, scan: Inspection) -> Decision | None:
    route = context.route(job)
    if route is None or not scan.is_spam or job.claimed.is_manual:
        return None
    if route.spam_mode is SpamMode.QUARANTINE:
        return held(job, hold.by(HoldReason.SPAM))
    if route.spam_mode is SpamMode.FAIL:
        return Decision(job.claimed, DeliveryStatus.FAILED, FAILED_BY_ROUTE)
    return None


def _judge_route_mode(job: Job, context: IncomingContext, scan: Inspection) -> Decision | None:
    route = context.route(job)
    mode = route.mode if route else RouteMode.ENDPOINT
    if mode is RouteMode.ACCEPT:
        return Decision(job.claimed, DeliveryStatus.PROCESSED, hold.SENTENCES[HoldReason.ROUTE])
    if mode is RouteMode.HOLD:
        return _kept(job)
    if mode in (RouteMode.BOUNCE, RouteMode.REJECT):
        return Decision(
            job.claimed,
            DeliveryStatus.FAILED,
            BOUNCED_BY_ROUTE,
            effects=(NotifySender(SEE_NOTICE),),
        )
    return None


def _kept(job: Job) -> Decision:
    if job.claimed.is_manual:
        return Decision(job.claimed, DeliveryStatus.PROCESSED, hold.RELEASED_WITHOUT_ENDPOINT)
    return held(job, hold.by(HoldReason.ROUTE))


JUDGES: Sequence[Callable[[Job, IncomingContext, Inspection], Decision | None]] = (
    _judge_score,
    _judge_server_mode,
    _judge_route,
    _judge_spam,
    _judge_route_mode,
)


# Step 11.


def _hand_over(
    job: Job, context: IncomingContext, scan: Inspection, changes: Changes | None
) -> Prepared | Decision:
    message = job.message
    key = (message.endpoint_type, message.endpoint_id or 0)
    entry = context.directory.endpoints.get(key)
    if entry is None:
        return Decision(job.claimed, DeliveryStatus.FAILED, INVALID_ENDPOINT, changes=changes)
    if isinstance(entry, HTTPEndpointEntry):
        return Prepared(job.claimed, _post(job, entry, scan, changes, context), changes)
    return Prepared(job.claimed, _forward(job, entry, changes, context), changes)


def _prefix(job: Job, changes: Changes | None) -> bytes:
    """What stands on top of the stored text from now on."""
    return changes.prefix if changes and changes.prefix else bytes(job.message.prefix)


def _text(job: Job, changes: Changes | None) -> bytes:
    return _prefix(job, changes) + (job.body or b"")


def _post(
    job: Job, entry: HTTPEndpointEntry, scan: Inspection, changes: Changes | None, context: IncomingContext
) -> HttpDelivery:
    body, content_type = _body(job, entry, scan, changes)
    headers = request_key(context.config).request_headers(body, content_type)
    return HttpDelivery(entry.url, headers, body, float(entry.timeout))


def _body(job: Job, entry: HTTPEndpointEntry, scan: Inspection, changes: Changes | None) -> tuple[bytes, str]:
    """What is posted to an endpoint, and its content type."""
    if entry.format == wire.RAW:
        return wire.raw_body(job.message, _text(job, changes), entry.encoding)
    text = _text(job, changes)
    read = parts(text)
    is_form = entry.encoding == wire.AS_FORM
    payload = wire.hash_payload(
        job.message,
        message_token(job.message.id),
        read,
        spam="Spam" if scan.is_spam else "NotSpam",
        strip_replies=entry.strip_replies,
        include_attachments=entry.include_attachments,
        is_form=is_form,
    )
    del text, read  # what is left of a large mail is in the payload
    return wire.hash_body(payload, entry.encoding)


def _forward(
    job: Job,
    entry: SMTPEndpointEntry | AddressEndpointEntry,
    changes: Changes | None,
    context: IncomingContext,
) -> SmtpDelivery:
    """Mail for an SMTP endpoint keeps its recipient; an address endpoint is one.

    The envelope sender is ours, so that SPF holds; the content is neither signed nor tokenized. It carries
    signatures of others, so only lines that no host has to take are changed.
    """
    message = job.message
    recipient = entry.address if isinstance(entry, AddressEndpointEntry) else message.rcpt_to or ""
    to = (
        target.for_recipient(recipient, context.config)
        if isinstance(entry, AddressEndpointEntry)
        else target.for_endpoint(entry, recipient, context.config)
    )
    reverse_path = None
    if not message.is_report:
        owner = context.directory.domains.get(message.domain_id or 0)
        reverse_path = return_path(job.server, owner, message.id, context.config)
    data = b"".join([resent_sender(reverse_path, context.config), _prefix(job, changes), job.body or b""])
    data = repair_lines(data)
    return SmtpDelivery(
        reverse_path,
        recipient,
        data,
        to,
        dsn=dsn.wanted_reports(
            dsn.OF_INCOMING, reverse_path, message.id, message.rcpt_to or recipient, context.config
        ),
    )
