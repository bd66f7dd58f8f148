from __future__ import annotations

from datetime import timedelta

from postal_server.engine import outcome
from postal_server.engine.ports import Attempt, HttpResult, Lookup, Reply, SmtpResult, Stage, Tls
from postal_server.rules.status import DeliveryStatus
from tests.each import each
from tests.fakes import mail, post

PLACE = {"host": "mx.dest.example", "address": "192.0.2.1", "port": 25, "seconds": 0.5}


@each(
    "result, status",
    [
        (SmtpResult("L", Stage.DOT, Reply(250, "OK"), **PLACE), DeliveryStatus.SENT),
        (SmtpResult("L", Stage.RCPT, Reply(550, "no"), **PLACE), DeliveryStatus.FAILED),
        (SmtpResult("L", Stage.RCPT, Reply(451, "later"), **PLACE), DeliveryStatus.DEFERRED),
        (SmtpResult("L", Stage.DATA, Reply(250, "OK"), **PLACE), DeliveryStatus.DEFERRED),
        (SmtpResult("L", Stage.DOT, Reply(354, "more"), **PLACE), DeliveryStatus.DEFERRED),
        (SmtpResult("L", Stage.DOT, error="connection closed", **PLACE), DeliveryStatus.DEFERRED),
        (SmtpResult("L", Stage.CONNECT, error="refused"), DeliveryStatus.DEFERRED),
        (SmtpResult("L", Stage.AUTH, Reply(535, "who are you?"), **PLACE), DeliveryStatus.DEFERRED),
        (SmtpResult("L", Stage.BANNER, Reply(554, "go away"), **PLACE), DeliveryStatus.DEFERRED),
        (SmtpResult("L", Stage.RESOLVE, lookup=Lookup.NO_DOMAIN), DeliveryStatus.FAILED),
        (SmtpResult("L", Stage.RESOLVE, lookup=Lookup.NULL_MX), DeliveryStatus.FAILED),
        (SmtpResult("L", Stage.RESOLVE, lookup=Lookup.TIMED_OUT), DeliveryStatus.DEFERRED),
    ],
)
def test_what_becomes_of_a_mail(result, status):
    assert outcome.of_mail(mail(), result).status is status


def test_an_answer_in_the_wrong_place_is_named():
    found = outcome.of_mail(mail(), SmtpResult("L", Stage.DATA, Reply(250, "OK"), **PLACE))
    assert found.details == "An error occurred while sending the message to 192.0.2.1:25 (mx.dest.example)"
    assert (found.output, found.code) == ("unexpected answer to DATA: 250 OK", None)


def test_a_sent_mail_says_where_and_how():
    result = SmtpResult("LOGID", Stage.DOT, Reply(250, "OK"), tls=Tls("TLSv1.3"), **PLACE)
    found = outcome.of_mail(mail(), result)
    assert found.details == "Message for ann@dest.example accepted by 192.0.2.1:25 (mx.dest.example)"
    assert (found.output, found.code, found.log_id, found.seconds) == ("250 OK", 250, "LOGID", 0.5)
    assert (found.sent_with_ssl, found.tls) == (True, "TLSv1.3, certificate verified")


def test_an_unreachable_domain_names_what_was_tried():
    tried = (Attempt("a.example", "192.0.2.1", 25, "refused"), Attempt("b.example", "", 25, "timed out"))
    found = outcome.of_mail(mail(), SmtpResult("L", Stage.CONNECT, tried=tried))
    assert found.details == "No SMTP servers were available for dest.example. Tried a.example and b.example."
    assert found.output == "refused, timed out"
    assert found.seconds is None


def test_without_a_host_there_is_no_output():
    result = SmtpResult("L", Stage.RESOLVE, error="the name servers failed", lookup=Lookup.FAILED)
    found = outcome.of_mail(mail(), result)
    assert found.details == "No SMTP servers were available for dest.example. No hosts to try."
    assert found.output is None


def test_what_becomes_of_a_post():
    found = outcome.of_post(post("https://x.example/"), HttpResult(429, b"slow\xff", 30, 0.1))
    assert (found.status, found.code, found.may_notify_sender) == (DeliveryStatus.FAILED, 429, False)
    assert found.retry_after == timedelta(seconds=30)
    assert found.output == "slow\N{LATIN SMALL LETTER Y WITH DIAERESIS}"


def test_a_bug_is_retried_and_named():
    found = outcome.of_bug(ValueError("x"))
    assert found.status is DeliveryStatus.ERROR
    assert found.output == "ValueError: x"


def test_a_host_that_falls_short_of_a_tls_policy_is_a_deferral_that_says_so():
    attempts = (
        Attempt("mx1.dest.example", "192.0.2.1", 25, "MTA-STS: self-signed certificate", "MTA-STS"),
        Attempt("mx2.dest.example", "192.0.2.2", 25, "Connection refused"),
    )
    found = outcome.of_mail(mail(), SmtpResult("LOG", Stage.CONNECT, tried=attempts))
    assert found.status is DeliveryStatus.DEFERRED
    assert found.details == (
        "No SMTP servers were available for dest.example. Tried mx1.dest.example and mx2.dest.example. "
        "The TLS that its MTA-STS policy demands was not to be had."
    )
    assert found.output == "MTA-STS: self-signed certificate, Connection refused"
    assert found.tls == "MTA-STS: self-signed certificate"
