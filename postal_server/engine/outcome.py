"""From what the transports report to an `Outcome`."""

from __future__ import annotations

from datetime import timedelta

from postal_server.mail.charset import decode_undeclared
from postal_server.rules import failure_class
from postal_server.rules import outcome as rules
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.outcome import Outcome
from postal_server.rules.status import DeliveryStatus

from .ports import HttpDelivery, HttpResult, Lookup, SmtpDelivery, SmtpResult, Stage

RETRIED = "This message will be retried automatically."  # Postal's sentence
# The steps of a transaction, as the classes of failures distinguish them.
TRANSACTION = {
    Stage.RSET: failure_class.Stage.CONNECT,
    Stage.MAIL: failure_class.Stage.MAIL,
    Stage.RCPT: failure_class.Stage.RCPT,
    Stage.DATA: failure_class.Stage.DATA,
    Stage.BLOCK: failure_class.Stage.DOT,
    Stage.DOT: failure_class.Stage.DOT,
}


def of_mail(mail: SmtpDelivery, result: SmtpResult) -> Outcome:
    """The outcome of an SMTP delivery."""
    # A host that refuses the session says nothing about the mail: no host was available (contract 6.8).
    if result.seconds is None or result.stage not in TRANSACTION:
        return _unreachable(mail, result)
    peer = rules.Peer(
        host=result.host,
        address=result.address,
        port=result.port,
        source=result.source,
        has_tls=result.tls is not None,
        tls=str(result.tls or ""),
        log_id=result.log_id,
    )
    stage = TRANSACTION[result.stage]
    if result.reply is None:
        return rules.interrupted(result.error, peer=peer, seconds=result.seconds, stage=stage)
    if result.reply.is_positive and not result.is_delivered:
        # Only a 2xx to the final dot takes a mail over; anywhere else the host is out of step with us.
        error = f"unexpected answer to {result.stage.value}: {result.reply}"
        return rules.interrupted(
            error,
            peer=peer,
            seconds=result.seconds,
            stage=stage,
            failure_class=FailureClass.INFRASTRUCTURE,
        )
    return rules.outcome_of_reply(
        result.reply,
        recipient=mail.recipient,
        peer=peer,
        seconds=result.seconds,
        stage=stage,
    )


def _unreachable(mail: SmtpDelivery, result: SmtpResult) -> Outcome:
    insecure = next((attempt for attempt in result.tried if attempt.policy), None)
    errors = [attempt.error for attempt in result.tried]
    # Where no host was found there is no reply, and Postal's output is empty; the log has the DNS error.
    if not errors and result.error and result.stage is not Stage.RESOLVE:
        errors = [result.error]
    return rules.unreachable(
        mail.target.domain,
        tried=[attempt.host for attempt in result.tried],
        errors=errors,
        is_permanent=result.lookup in (Lookup.NO_DOMAIN, Lookup.NULL_MX),
        policy=insecure.policy if insecure else "",
        tls=insecure.error if insecure else "",
        log_id=result.log_id,
        is_dns_broken=result.lookup in (Lookup.FAILED, Lookup.TIMED_OUT),
    )


def of_post(post: HttpDelivery, result: HttpResult) -> Outcome:
    """The outcome of an HTTP delivery."""
    return rules.outcome_of_response(
        result.status,
        decode_undeclared(result.body),
        url=post.url,
        seconds=result.seconds,
        retry_after=None if result.retry_after is None else timedelta(seconds=result.retry_after),
    )


def of_bug(error: Exception) -> Outcome:
    """Our own mistake: the message is tried again (contract 6.2)."""
    return Outcome(
        DeliveryStatus.ERROR,
        f"An internal error occurred while sending this message. {RETRIED}",
        output=f"{type(error).__name__}: {error}",
    )
