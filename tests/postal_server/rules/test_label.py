from __future__ import annotations

from postal_server.mail.smtp_reply import Reply
from postal_server.rules import http_code, outcome
from postal_server.rules.label import destination, reason
from tests.each import each

PEER = outcome.Peer("mx.dest.example", "192.0.2.1", 25)


@each(
    "lane, host, label",
    [
        ("gmail.com", "gmail-smtp-in.l.google.com", "google"),
        ("ours.example", "ALT1.aspmx.l.google.com.", "google"),
        ("contoso.example", "contoso-example.mail.protection.outlook.com", "microsoft"),
        ("yahoo.com", "mta5.am0.yahoodns.net", "yahoo"),
        ("small.example", "mx.small.example", "other"),
        ("evil.example", "google.com.evil.example", "other"),
        ("dead.example", "", "other"),
        ("[ipv6:2001:db8::1]", "2001:db8::1", "other"),
        ("museum", "mx.museum", "other"),
        ("webhook:17", "", "webhook"),
        ("http:4", "", "http"),
        ("local", "", "local"),
    ],
)
def test_destinations_are_few(lane, host, label):
    assert destination(lane, host) == label


def answered(text: str):
    return outcome.outcome_of_reply(
        Reply.parse([text.encode()]), recipient="a@b.example", peer=PEER, seconds=0.1
    )


def posted(code: int):
    return outcome.outcome_of_response(code, "5.7.1 no", url="http://a.example/", seconds=0.1)


@each(
    "result, label",
    [
        (answered("250 2.0.0 ok"), "ok"),
        (answered("550 5.1.1 no such user"), "address"),
        (answered("452 4.2.2 mailbox full"), "mailbox"),
        (answered("421 4.7.0 [TSS04] slow down"), "policy"),
        (answered("550 no"), "5xx"),
        (answered("451 4.9.9 odd"), "4xx"),
        (outcome.unreachable("a.example"), "connection"),
        (outcome.interrupted("broken", peer=PEER, seconds=1.0), "interrupted"),
        (posted(200), "ok"),
        (posted(500), "5xx"),
        (posted(http_code.TIMED_OUT), "timeout"),
        (posted(http_code.NO_CONNECTION), "connection"),
        (posted(http_code.NO_TLS), "tls"),
    ],
)
def test_reasons_are_few(result, label):
    assert reason(result) == label
