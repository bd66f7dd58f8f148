from datetime import datetime, timedelta, timezone

from postal_server.mail.message import format_date, received_line
from tests.each import each

DATE = b"; Mon, 02 Nov 2026 18:58:00 "
AT = datetime(2026, 11, 2, 18, 58, 0, tzinfo=timezone.utc)


def test_dates_are_english_and_keep_their_offset():
    assert format_date(AT) == "Mon, 02 Nov 2026 18:58:00 +0000"
    assert (
        format_date(AT.astimezone(timezone(-timedelta(hours=3, minutes=30))))
        == "Mon, 02 Nov 2026 15:28:00 -0330"
    )


@each(
    "arguments, line",
    [
        (
            {"source": "api", "ip": "127.0.0.1", "rdns": None, "by": "postal.example.test", "via": "HTTP"},
            b"from api (127.0.0.1 [127.0.0.1]) by postal.example.test with HTTP" + DATE + b"+0000",
        ),
        (
            {"source": "c", "ip": "192.0.2.1", "rdns": "c.example", "by": "mx.example.test", "via": "SMTP"},
            b"from c (c.example [192.0.2.1]) by mx.example.test with SMTP" + DATE + b"-0000",
        ),
        (
            {
                "source": "api",
                "ip": "127.0.0.1",
                "rdns": None,
                "by": "w.test",
                "via": "HTTP",
                "private": True,
            },
            b"by w.test with HTTP" + DATE + b"+0000",
        ),
        (
            {"source": "a) b\r\nX: ü" + "y" * 500, "ip": "::1", "rdns": "", "by": "w.test", "via": "SMTP"},
            b"from a??b??X:??" + b"y" * 245 + b" (::1 [::1]) by w.test with SMTP" + DATE + b"-0000",
        ),
    ],
    ids=["api", "smtp", "private", "hostile"],
)
def test_received_lines_are_postals(arguments, line):
    assert (
        received_line(**arguments, at=AT.astimezone(timezone(timedelta(hours=2))))
        == b"Received: " + line + b"\r\n"
    )
