import time

import pytest

from postal_server.mail.autoreply import is_autoreply, is_challenge
from postal_server.mail.header import Fields
from postal_server.mail.phrases import Text
from postal_server.mail.report import read
from tests.each import each

from .reports import header_and_text, samples


@each(
    "header, reverse_path, expected",
    [
        ("Auto-Submitted: auto-replied", "a@x.example", True),
        ("Auto-Submitted: no", "a@x.example", False),
        ("X-Autoreply: yes", "a@x.example", True),
        ("X-Autoreply: no", "a@x.example", False),
        ("Precedence: auto_reply", "a@x.example", True),
        ("Content-Type: multipart/report; report-type=disposition-notification", "a@x.example", True),
        ("Subject: Abwesenheitsnotiz: Rechnung", "a@x.example", True),
        ("Subject: Re: Abwesenheitsnotiz: Rechnung", "a@x.example", False),
        ("Subject: Re: Abwesenheitsnotiz: Rechnung", None, True),
        ("Subject: Rechnung", None, False),
    ],
)
def test_programs_say_so_by_a_field_or_the_subject(header, reverse_path, expected):
    assert is_autoreply(Fields(f"{header}\r\n\r\n".encode()), reverse_path) is expected


def test_a_challenge_asks_for_confirmation():
    header = Fields(b"Subject: Your email requires verification verify#1\r\n\r\n")
    text = "The message you sent requires that you verify that you are a real live human being. Please reply."
    assert is_challenge(header, Text(text))
    assert not is_challenge(header, Text("Hello"))


def test_vacations_receipts_challenges_and_replies_are_told_apart():
    wrong = {}
    for name, raw, expected in samples("autoreply"):
        kind = read(raw, expected["reverse_path"]).kind.value
        if kind != expected["kind"]:
            wrong[name] = kind
    assert wrong == {}


def test_no_failure_notice_is_a_challenge():
    assert [name for name, raw, _ in samples("shapes") if is_challenge(*header_and_text(raw))] == []


@pytest.mark.parametrize(
    "flood", ["a", "[", "Subject: a\n", "x-challenge: no\n", "=?utf-8?q?a?= ", "reply held ", "é"]
)
def test_time_to_tell_a_hostile_mail_is_bounded(flood):
    text = flood * (1_000_000 // len(flood))
    header = b"Subject: " + text.encode() + b"\r\n\r\n"
    start = time.process_time()
    fields = Fields(header)
    is_challenge(fields, Text(text))
    is_autoreply(fields, None)
    assert time.process_time() - start < 0.5
