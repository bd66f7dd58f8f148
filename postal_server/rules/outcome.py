"""The outcome of an attempt, and what a remote's reply or response means.

Anything that we do not understand is a deferral. Source: contract 6.8 and 4.9, RFC 5321 section 4.2.1, and
`deviations` where Postal takes a permanent reply for a transient one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from postal_server.mail.smtp_reply import Reply

from .failure_class import FailureClass, Stage
from .status import DeliveryStatus

NAMED_WAIT = re.compile(r"(\d{1,6}) (second|minute)s?\b", re.ASCII | re.IGNORECASE)
_REPLY = re.compile(r"[245]\d\d[ -]", re.ASCII)
WAIT_MARGIN = timedelta(seconds=10)  # Postal's: the remote's clock is not ours


@dataclass(frozen=True)
class Outcome:
    """The result of an attempt: SENT, DEFERRED or FAILED, with one sentence for people.

    `output` is the remote's reply or response as received, `host` the name of the mail host. `sent_with_ssl`
    is None where nothing was sent, `seconds` is None without a connection. `retry_after` is the shortest wait
    that the remote asked for. `stage` is the step of the SMTP session that a reply ended, None over HTTP;
    `failure_class` says why where no reply does.
    """

    status: DeliveryStatus
    details: str
    output: str | None = None
    code: int | None = None
    sent_with_ssl: bool | None = None
    tls: str = ""
    log_id: str | None = None
    seconds: float | None = None
    retry_after: timedelta | None = None
    host: str = ""
    may_notify_sender: bool = True  # of a failure; not of an HTTP 429
    stage: Stage | None = None
    failure_class: FailureClass | None = None


@dataclass(frozen=True)
class Peer:
    """The host at the other end of an SMTP session. `tls` names version and certificate result."""

    host: str
    address: str
    port: int
    source: str | None = None
    has_tls: bool = False
    tls: str = ""
    log_id: str | None = None

    def __str__(self) -> str:
        return f"{self.address}:{self.port} ({self.host})"


def named_wait(text: str) -> timedelta | None:
    """The wait that an SMTP reply names (`try again in 30 seconds`), with a margin of ten seconds."""
    match = NAMED_WAIT.search(text)
    if not match:
        return None
    return timedelta(**{f"{match[2].lower()}s": int(match[1])}) + WAIT_MARGIN


def outcome_of_reply(
    reply: Reply, *, recipient: str, peer: Peer, seconds: float | None, stage: Stage = Stage.RCPT
) -> Outcome:
    """What an SMTP reply to MAIL, RCPT, DATA or the final dot means for one recipient.

    A 2xx must be the reply to the final dot, as no other accepts the message. `seconds` is the duration of
    the transaction. Every 5xx is a permanent failure (RFC 5321), a malformed reply is a deferral.
    """
    output = str(reply)
    status, details, wait = (
        DeliveryStatus.DEFERRED,
        f"Temporary SMTP delivery error when sending to {peer}",
        None,
    )
    if 200 <= reply.code <= 299:
        status, details = DeliveryStatus.SENT, f"Message for {recipient} accepted by {peer}"
        details += f" (from {peer.source})" if peer.source else ""
    elif reply.is_permanent:
        status, details = DeliveryStatus.FAILED, f"Permanent SMTP delivery error when sending to {peer}"
    else:
        wait = named_wait(output)
    return Outcome(
        status,
        details,
        output=output,
        code=reply.code,
        sent_with_ssl=peer.has_tls,
        tls=peer.tls,
        log_id=peer.log_id,
        seconds=seconds,
        retry_after=wait,
        host=peer.host,
        stage=stage,
    )


def interrupted(
    error: str,
    *,
    peer: Peer,
    seconds: float | None,
    stage: Stage = Stage.RCPT,
    failure_class: FailureClass = FailureClass.EXPIRED,
) -> Outcome:
    """The connection broke or timed out during a transaction. Whether the mail arrived is not known."""
    return Outcome(
        DeliveryStatus.DEFERRED,
        f"An error occurred while sending the message to {peer}",
        output=error,
        sent_with_ssl=peer.has_tls,
        tls=peer.tls,
        log_id=peer.log_id,
        seconds=seconds,
        host=peer.host,
        stage=stage,
        failure_class=failure_class,
    )


def unreachable(
    domain: str,
    *,
    tried: Sequence[str] = (),
    errors: Sequence[str] = (),
    is_permanent: bool = False,
    policy: str = "",
    tls: str = "",
    log_id: str | None = None,
    is_dns_broken: bool = False,
) -> Outcome:
    """No host took a connection. `tried` are the hosts, `errors` what went wrong with each.

    Permanent only where the domain does not exist or declares that it accepts no mail (RFC 7505). `policy` is
    the domain's TLS policy if hosts did not meet it, and `tls` says how. A reply to our greeting is among the
    errors as it came.
    """
    hosts = f"Tried {sentence(tried)}." if tried else "No hosts to try."
    if policy:
        hosts += f" The TLS that its {policy} policy demands was not to be had."
    return Outcome(
        DeliveryStatus.FAILED if is_permanent else DeliveryStatus.DEFERRED,
        f"No SMTP servers were available for {domain}. {hosts}",
        output=", ".join(errors) or None,
        sent_with_ssl=False,
        tls=tls,
        log_id=log_id,
        host=tried[-1] if tried else "",
        stage=Stage.CONNECT,
        failure_class=_unreachable_class(
            errors, is_permanent=is_permanent, is_ours=bool(policy) or is_dns_broken
        ),
    )


def _unreachable_class(errors: Sequence[str], *, is_permanent: bool, is_ours: bool) -> FailureClass | None:
    """Why no host took a connection; None where one replied. Broken DNS may be ours: nobody is blamed."""
    if is_permanent:
        return FailureClass.BAD_DOMAIN
    if is_ours:
        return FailureClass.INFRASTRUCTURE
    return None if any(map(_REPLY.match, errors)) else FailureClass.EXPIRED


def sentence(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b, and c`."""
    if len(words) < 3:
        return " and ".join(words)
    return f"{', '.join(words[:-1])}, and {words[-1]}"


def outcome_of_response(
    code: int, output: str, *, url: str, seconds: float | None, retry_after: timedelta | None = None
) -> Outcome:
    """What the response to a POST request means. `code` is its status, or one of the codes in `http_code`.

    `output` is the start of the response's body, or what went wrong. Source: contract 4.9: only a 5xx or no
    response at all is worth another try, and a 429 causes no failure notice.
    """
    if 200 <= code <= 299:
        status = DeliveryStatus.SENT
    elif code < 0 or 500 <= code <= 599:
        status = DeliveryStatus.DEFERRED
    else:
        status = DeliveryStatus.FAILED
    return Outcome(
        status,
        f"Received a {code} from {url}",
        output=output.strip(),
        code=code,
        sent_with_ssl=url.lower().startswith("https:"),
        seconds=seconds,
        retry_after=retry_after,
        may_notify_sender=code != 429,
    )
