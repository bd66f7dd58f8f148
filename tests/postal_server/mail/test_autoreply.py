import pytest

from postal_server.mail.autoreply import is_autoreply, is_challenge


@pytest.mark.parametrize(
    ("header", "reverse_path", "expected"),
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
    assert is_autoreply(f"{header}\r\n\r\n".encode(), reverse_path) is expected


def test_a_challenge_asks_for_confirmation():
    header = b"Subject: Your email requires verification verify#1\r\n\r\n"
    text = "The message you sent requires that you verify that you are a real live human being. Please reply."
    assert is_challenge(header, text)
    assert not is_challenge(header, "Hello")
