"""Prepare claimed outgoing messages: hold, fail, rewrite, sign; what is left is mail for somebody.

The steps and their order are Postal's (contract 6.2). Where something stops a message, its text is in
`rules.hold` or below. A batch takes a fixed number of queries, whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from postal_server.conf import Config
from postal_server.mail import dkim
from postal_server.mail.address import is_plausible_recipient
from postal_server.mail.header import find_body
from postal_server.mail.header_encoding import encode_header
from postal_server.mail.message import last, remove_header
from postal_server.mail.transport_encoding import repair_lines, to_7bit
from postal_server.rules import hold, outcome
from postal_server.rules import suppression as rules
from postal_server.rules.domain import ED25519_SELECTOR_END
from postal_server.rules.status import DeliveryStatus, SuppressedAs
from postal_server.rules.stream import StreamKind
from postal_server.services.results import suppression, suppression_entries
from postal_server.services.results.attempts import LastAnswer, last_answers
from postal_server.services.results.classification import ATTEMPTS_USED_UP, gave_up
from postal_server.services.results.suppression_entries import Recipient
from postal_server.services.shared import token
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import DomainEntry, Source, StreamEntry
from postal_server.services.shared.keys import dkim_key, installation_key
from postal_server.services.shared.work import Changes, Decision, Inspection, Prepared, SmtpDelivery

from . import dsn, inspection, rewriting, send_limit, target
from .checks import BatchContext, attempts_used_up, check_suspension, check_text, first_decision, held
from .guard import guarded
from .job import Job

DOMAIN_GONE = "Message's domain no longer exist"
NO_RECIPIENT = "Message doesn't have an RCPT to"
MSGID = "X-Postal-MsgID"
TAG = "X-Postal-Tag"
TLS_REQUIRED = "TLS-Required"


@dataclass(frozen=True)
class OutgoingContext(BatchContext):
    now: datetime
    suppressed: dict[Recipient, list[suppression_entries.Stop]]
    answers: dict[int, LastAnswer]  # the last one, of those that used up their attempts

    def domain(self, job: Job) -> DomainEntry | None:
        number = job.message.domain_id
        return self.directory.domains.get(number) if number is not None else None

    def source(self, job: Job) -> Source | None:
        entry = self.directory.sources.get(job.claimed.source_id)
        return entry.source if entry else None


def prepare(
    jobs: Sequence[Job], directory: Directory, config: Config, now: datetime
) -> list[Prepared | Decision]:
    """What to send, or what was decided, for each job in order.

    Two queries at most (suppressions, and answers to used-up messages); tracked mail takes one more for its
    links, servers with a send limit three.
    """
    maximum = config.postal.default_maximum_delivery_attempts
    used_up = [job.message.id for job in jobs if job.claimed.attempts >= maximum]
    context = OutgoingContext(
        directory,
        config,
        now,
        suppression_entries.find(
            ((job.server.id, job.message.rcpt_to) for job in jobs if job.message.rcpt_to), now
        ),
        last_answers(used_up),
    )
    decided: dict[int, Prepared | Decision] = {}
    going: list[Job] = []
    for job in jobs:
        decision = guarded(job.claimed, partial(first_decision, CHECKS, job, context))
        if decision is None:
            going.append(job)
        else:
            decided[job.claimed.id] = decision
    rewritten = rewriting.rewrite(going, context.directory, now)
    drafts: list[tuple[Job, Prepared]] = []
    for job in going:
        draft = guarded(job.claimed, partial(_draft, job, rewritten.get(job.message.id), context))
        if isinstance(draft, Prepared):
            drafts.append((job, draft))
        else:
            decided[job.claimed.id] = draft
    holds = send_limit.admit([job.server for job, _ in drafts], now)
    for (job, draft), by_limit in zip(drafts, holds, strict=True):
        why = by_limit or hold.by_mode(job.server.mode, job.claimed.is_manual)
        decided[job.claimed.id] = held(job, why, changes=draft.changes) if why else draft
    return [decided[job.claimed.id] for job in jobs]


# Steps 2 to 9.


def _check_attempts(job: Job, context: OutgoingContext) -> Decision | None:
    details = attempts_used_up(job, context)
    if details is None:
        return None
    why = gave_up(context.answers.get(job.message.id), ATTEMPTS_USED_UP)
    return Decision(job.claimed, DeliveryStatus.FAILED, details, effects=(why,) if why else ())


def _check_domain(job: Job, context: OutgoingContext) -> Decision | None:
    gone = job.message.domain_id is not None and context.domain(job) is None
    return Decision(job.claimed, DeliveryStatus.FAILED, DOMAIN_GONE) if gone else None


def _check_recipient(job: Job, context: OutgoingContext) -> Decision | None:
    address = job.message.rcpt_to
    if not address:
        return Decision(job.claimed, DeliveryStatus.FAILED, NO_RECIPIENT)
    if is_plausible_recipient(address):
        return None
    # Postal looks for the MX of nonsense for a day; it can never be delivered.
    domain = address.rpartition("@")[2]
    return Decision(job.claimed, DeliveryStatus.FAILED, outcome.unreachable(domain).details)


def _check_credential(job: Job, context: OutgoingContext) -> Decision | None:
    entry = context.directory.credentials.get(job.message.credential_id or 0)
    why = hold.by_credential(entry is not None and entry.hold, job.claimed.is_manual)
    return held(job, why) if why else None


def _is_transactional(job: Job, stream: StreamEntry | None) -> bool:
    """Is this mail of a transactional stream? One without a row is what its first mail would make it."""
    if stream is None:
        return bool(job.message.stream) and not job.claimed.is_bulk
    return stream.kind is StreamKind.TRANSACTIONAL


def _check_suppression(job: Job, context: OutgoingContext) -> Decision | None:
    address = job.message.rcpt_to or ""
    domain = context.domain(job)
    stream = context.directory.streams.get((job.server.id, job.message.stream))
    stop = suppression_entries.stop_for(
        (job.server.id, address),
        context.suppressed,
        rules.scopes_of_mail(stream=job.message.stream, domain=domain.name if domain else ""),
        is_transactional=_is_transactional(job, stream),
        must_arrive=stream is not None and stream.must_arrive,
    )
    if stop is None or job.claimed.is_manual:
        return None
    why = hold.by_suppression(address, stop.text)
    effects = (suppression.Stopped(stop),)
    if job.server.suppressed_as is SuppressedAs.HELD:
        return held(job, why, effects=effects)
    return Decision(job.claimed, DeliveryStatus.FAILED, why.sentence, effects=effects)


CHECKS: Sequence[Callable[[Job, OutgoingContext], Decision | None]] = (
    check_suspension,
    _check_attempts,
    check_text,
    _check_domain,
    _check_recipient,
    _check_credential,
    _check_suppression,
)


# Steps 10 to 13.


def _draft(job: Job, rewritten: bytes | None, context: OutgoingContext) -> Prepared | Decision:
    """The mail, signed, with what that changed on its row; or why it is spam."""
    message, server = job.message, job.server
    accepted = job.body or b""
    tag = None if message.tag else (last(accepted, TAG) or "").strip() or None
    body = rewritten or accepted
    scan = None
    if server.outbound_spam_threshold is not None and not message.is_inspected:
        scan = inspection.inspect(body, message, context.config)
        scan = Inspection(
            scan.score,
            scan.score >= server.outbound_spam_threshold,
            scan.is_threat,
            scan.threat_details,
        )
    prefix = bytes(message.prefix)
    if not prefix:
        # The header first: a long line of 8-bit text without blanks is to be encoded, not cut.
        body = to_7bit(repair_lines(encode_header(_without_msgid(body))))
        prefix = _signature(body, job, context)
    changes = Changes(
        prefix=None if message.prefix else prefix,
        tag=tag,
        raw=None if body is accepted else body,
        is_rewritten=True if rewritten else None,
        inspection=scan,
    )
    if scan.is_spam if scan else message.is_spam:
        return Decision(
            job.claimed,
            DeliveryStatus.FAILED,
            f"Message is likely spam. Threshold is {server.outbound_spam_threshold} and the message scored "
            f"{scan.score if scan else message.spam_score}.",
            changes=changes,
        )
    return Prepared(job.claimed, _delivery(job, prefix, body, context), changes)


def _delivery(job: Job, prefix: bytes, body: bytes, context: OutgoingContext) -> SmtpDelivery:
    message = job.message
    reverse_path = None
    if not message.is_notice:
        reverse_path = token.return_path(job.server, context.domain(job), message.id, context.config)
    address = message.rcpt_to or ""
    return SmtpDelivery(
        reverse_path,
        address,
        b"".join([resent_sender(reverse_path, context.config), prefix, body]),
        target.for_recipient(address, context.config, tls_optional=_is_tls_optional(body)),
        source=context.source(job),
        dsn=dsn.wanted_reports(dsn.OF_OUTGOING, reverse_path, message.id, address, context.config),
    )


def _is_tls_optional(body: bytes) -> bool:
    """Does the mail ask to be delivered even without TLS (RFC 8689)?"""
    header_end = find_body(body, 0, len(body))[0]
    if b"tls-required:" not in body[:header_end].lower():
        return False
    return (last(body, TLS_REQUIRED) or "").strip().lower() == "no"


def resent_sender(reverse_path: str | None, config: Config) -> bytes:
    """The field that goes on top with the envelope sender. None for `<>`: RFC 5322 has no empty one (Q47)."""
    if reverse_path is None or not config.postal.use_resent_sender_header:
        return b""
    return b"Resent-Sender: %s\r\n" % reverse_path.encode()


def _without_msgid(body: bytes) -> bytes:
    """A text without the token of another installation, which would claim the bounces (contract Q7)."""
    header_end = find_body(body, 0, len(body))[0]
    return remove_header(body, MSGID) if MSGID.lower().encode() in body[:header_end].lower() else body


def _signature(body: bytes, job: Job, context: OutgoingContext) -> bytes:
    """The `DKIM-Signature` fields and `X-Postal-MsgID` that go on top of `body`, made once for all tries.

    The domain's own keys if DNS has their records, else the installation's, for the return path domain
    (contract 6.4).
    """
    dns, domain, now = context.config.dns, context.domain(job), int(context.now.timestamp())
    signatures = []
    if domain is not None and domain.is_signing:
        selector = f"{dns.dkim_identifier}-{domain.dkim_suffix}"
        # Ed25519 beside RSA (RFC 8463): receivers verify the one that they know.
        keys = [
            (selector, domain.dkim_private_key),
            (f"{selector}{ED25519_SELECTOR_END}", domain.dkim_ed25519_private_key),
        ]
        signatures = [
            dkim.sign(body, domain=domain.name, selector=name, key=dkim_key(pem), now=now)
            for name, pem in keys
            if pem
        ]
    if not signatures:
        key = installation_key(context.config)
        signatures = [
            dkim.sign(body, domain=dns.return_path_domain, selector=dns.dkim_identifier, key=key, now=now)
        ]
    return b"".join(signatures) + f"{MSGID}: {token.message_token(job.message.id)}\r\n".encode()
