from datetime import timedelta

import pytest

from postal_server.mail.smtp_reply import Reply
from postal_server.rules import http_code, outcome
from postal_server.rules.status import DeliveryStatus
from tests.each import each

PEER = outcome.Peer(host="mx.dest.example", address="127.0.0.1", port=25, log_id="DUTUY1AE")
SENT, DEFERRED, FAILED = DeliveryStatus.SENT, DeliveryStatus.DEFERRED, DeliveryStatus.FAILED


@each(
    "code, status",
    [
        (250, SENT),
        (251, SENT),
        (421, DEFERRED),
        (450, DEFERRED),
        (451, DEFERRED),
        (501, FAILED),
        (530, FAILED),
        (535, FAILED),
        (550, FAILED),
        (552, FAILED),
        (554, FAILED),
        (354, DEFERRED),
        (999, DEFERRED),
    ],
)
def test_an_smtp_answer_is_classified_by_its_first_digit(code, status):
    result = outcome.outcome_of_reply(Reply(code, "text"), recipient="a@dest.example", peer=PEER, seconds=0.5)
    assert result.status is status
    assert (result.code, result.output, result.seconds, result.log_id) == (
        code,
        f"{code:03} text",
        0.5,
        "DUTUY1AE",
    )


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (250, "Message for a@dest.example accepted by 127.0.0.1:25 (mx.dest.example)"),
        (450, "Temporary SMTP delivery error when sending to 127.0.0.1:25 (mx.dest.example)"),
        (550, "Permanent SMTP delivery error when sending to 127.0.0.1:25 (mx.dest.example)"),
    ],
)
def test_details_are_postals(code, details):
    assert (
        outcome.outcome_of_reply(Reply(code, "x"), recipient="a@dest.example", peer=PEER, seconds=0).details
        == details
    )


def test_the_source_address_is_named_when_it_is_known():
    peer = outcome.Peer("mx.dest.example", "127.0.0.1", 25, source="192.0.2.7", has_tls=True, tls="TLSv1.3")
    result = outcome.outcome_of_reply(Reply(250, "ok"), recipient="a@b.example", peer=peer, seconds=0)
    assert (
        result.details
        == "Message for a@b.example accepted by 127.0.0.1:25 (mx.dest.example) (from 192.0.2.7)"
    )
    assert (result.sent_with_ssl, result.tls) == (True, "TLSv1.3")


@each(
    "text, wait",
    [
        ("421 try again in 30 seconds", timedelta(seconds=40)),
        ("450 wait 5 minutes", timedelta(minutes=5, seconds=10)),
        ("450 wait 1 minute", timedelta(minutes=1, seconds=10)),
        ("450 wait 5 \u017feconds", None),  # a long s, which Python takes for one where case is ignored
        ("450 wait \u0665 seconds", None),
        ("451 4.7.1 greylisted", None),
        ("450 later", None),
    ],
)
def test_a_wait_named_in_a_deferral_is_kept(text, wait):
    result = outcome.outcome_of_reply(
        Reply.parse([text.encode()]), recipient="a@b.example", peer=PEER, seconds=0
    )
    assert result.retry_after == wait


def test_a_wait_named_in_a_failure_means_nothing():
    result = outcome.outcome_of_reply(
        Reply(550, "try in 30 seconds"), recipient="a@b.example", peer=PEER, seconds=0
    )
    assert result.retry_after is None


@each(
    "tried, errors, details, output",
    [
        ([], [], "No SMTP servers were available for x.example. No hosts to try.", None),
        (["a"], ["refused"], "No SMTP servers were available for x.example. Tried a.", "refused"),
        (["a", "b"], ["1", "2"], "No SMTP servers were available for x.example. Tried a and b.", "1, 2"),
        (["a", "b", "c"], [], "No SMTP servers were available for x.example. Tried a, b, and c.", None),
    ],
)
def test_an_unreachable_domain_is_deferred_and_names_the_hosts(tried, errors, details, output):
    result = outcome.unreachable("x.example", tried=tried, errors=errors)
    assert (result.status, result.details, result.output) == (DEFERRED, details, output)
    assert (result.sent_with_ssl, result.seconds, result.code) == (False, None, None)


def test_a_domain_without_mail_fails_at_once():
    assert outcome.unreachable("x.example", is_permanent=True).status is FAILED


def test_a_broken_connection_is_deferred():
    result = outcome.interrupted("end of file reached", peer=PEER, seconds=0.05)
    assert result.status is DEFERRED
    assert result.details == "An error occurred while sending the message to 127.0.0.1:25 (mx.dest.example)"


@each(
    "code, status, may_notify_sender",
    [
        (200, SENT, True),
        (204, SENT, True),
        (299, SENT, True),
        (301, FAILED, True),
        (404, FAILED, True),
        (410, FAILED, True),
        (429, FAILED, False),
        (500, DEFERRED, True),
        (599, DEFERRED, True),
        (600, FAILED, True),
        (100, FAILED, True),
        (http_code.TIMED_OUT, DEFERRED, True),
        (http_code.NO_CONNECTION, DEFERRED, True),
        (http_code.NO_TLS, DEFERRED, True),
    ],
)
def test_an_http_answer_is_classified_as_postal_does(code, status, may_notify_sender):
    result = outcome.outcome_of_response(code, " as asked\n", url="http://h.example/x", seconds=0.01)
    assert (result.status, result.may_notify_sender) == (status, may_notify_sender)
    assert (result.details, result.output) == (f"Received a {code} from http://h.example/x", "as asked")


@pytest.mark.parametrize(
    ("url", "expected"), [("https://h/", True), ("HTTPS://h/", True), ("http://h/", False)]
)
def test_a_post_is_encrypted_by_its_scheme(url, expected):
    assert outcome.outcome_of_response(200, "", url=url, seconds=0).sent_with_ssl is expected
