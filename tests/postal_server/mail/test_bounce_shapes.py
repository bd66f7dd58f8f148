import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.bounce_rows import ROWS
from postal_server.mail.bounce_shapes import find
from postal_server.mail.delivery_status import Part
from postal_server.mail.header import Fields
from postal_server.mail.phrases import Text
from postal_server.mail.report import read
from tests.each import each

from .reports import header_and_text, samples

EXIM = """A message that you sent could not be delivered to all of its recipients.

  a@dest.example
    host mx.dest.example: 550 5.1.1 User unknown

------ This is a copy of the message, including all the headers. ------

Received: from x
"""


def test_a_notice_names_its_recipients_and_their_reasons():
    shape = find(Fields(b"From: Mailer-Daemon@mx.example\r\n\r\n"), Text(EXIM))
    reason = "host mx.dest.example: 550 5.1.1 User unknown"
    assert shape.name == "exim"
    assert shape.parts == (Part("a@dest.example", None, "failed", "5.1.1", reason),)


def differences(raw, expected):
    """What `find` says of a sample that is not as expected."""
    header, text = header_and_text(raw)
    shape = find(header, text, has_null_path=not expected["reverse_path"])
    if shape is None:
        return ["not recognized"]
    wanted = expected["recipients"]
    said = [(part.final_recipient, part.action, part.status, part.original_recipient) for part in shape.parts]
    right = [(r["recipient"], r["action"], r["status"], r.get("original_recipient")) for r in wanted]
    wrong = [] if shape.name == expected["shape"] else [f"shape {shape.name}"]
    wrong += [] if said == right else [f"says {said}"]
    for part, recipient in zip(shape.parts, wanted, strict=False):
        if (recipient["diagnostic"] or "") not in (part.diagnostic or ""):
            wrong.append(f"reason {part.diagnostic}")
    return wrong


def test_notices_of_every_shape_are_read():
    wrong = {name: differences(raw, expected) for name, raw, expected in samples("shapes")}
    assert {name: what for name, what in wrong.items() if what} == {}


def test_reports_have_the_message_that_a_notice_returns():
    wrong = {}
    for name, raw, expected in samples("shapes"):
        report = read(raw, expected["reverse_path"])
        found = (report.kind.value, report.message_id, report.tokens)
        tokens = (expected["token"],) if expected["token"] else ()
        if found != (expected["kind"], expected["message_id"], tokens):
            wrong[name] = found
    assert wrong == {}


def test_every_row_has_a_sample():
    assert {row.name for row in ROWS} - {expected["shape"] for _, _, expected in samples("shapes")} == set()


@each("subject", ["Re: Mail delivery failed", "Fwd: failure notice", "AW: Unzustellbar"])
@each("has_null_path", [True, False])
def test_what_people_say_about_a_notice_is_none(subject, has_null_path):
    header = f"From: ann@x.example\r\nSubject: {subject}\r\n\r\n".encode()
    assert find(Fields(header), Text(EXIM), has_null_path=has_null_path) is None


def test_automatic_replies_are_no_notices():
    for name, raw, expected in samples("autoreply"):
        header, text = header_and_text(raw)
        assert find(header, text, has_null_path=not expected["reverse_path"]) is None, name


@given(st.binary(max_size=300), st.text(max_size=500), st.booleans())
def test_hostile_mail_never_raises(header, text, has_null_path):
    find(Fields(header), Text(text), has_null_path=has_null_path)
    notice = Fields(b"From: postmaster@x\r\nX-Failed-Recipients: " + header + b"\r\n\r\n")
    find(notice, Text("failure\n" + text))


MAILER = b"From: MAILER-DAEMON@x.example\r\nSubject: Undeliverable\r\n"
FLOODS = {
    "one word": "a",
    "addresses": "a@b ",
    "lines of addresses": "a@b.example\n",
    "paragraphs": "<a@b.example>:\nno\n\n",
    "nearly addresses": "a" * 64 + "@" + "b" * 253,
    "brackets": "<",
    "blanks": " ",
    "empty lines": "\n",
    "fields": "From: a\n",
    "labels": "To:",
    "answers": "550 5.1.1 ",
    "headings": "--- original message\n",
    "accents": "é",
    "reasons": "reason: because:\n",
}


@pytest.mark.parametrize("beginning", ["", EXIM, "Your message was not delivered to:\n", "qmail-send\n"])
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_time_to_read_a_hostile_notice_is_bounded(beginning, flood):
    """50 ms at most on a machine of today; ten times as much for a slow one."""
    text = beginning + flood * (200_000 // len(flood))
    header = MAILER + b"X-Failed-Recipients: " + b"a@b.example, " * 10_000 + b"\r\n\r\n"
    start = time.process_time()
    find(Fields(header), Text(text))
    assert time.process_time() - start < 0.5
