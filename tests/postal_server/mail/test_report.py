import base64
import json
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.report import Kind, Part, read
from tests.each import each

from .recordings import load
from .reports import samples
from .test_dsn import notice

RETURNED = b"--r\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <a@b>\r\nSubject: x\r\n"

CORPUS = Path(__file__).parents[2] / "corpus"
NULL = None


def report(status, returned=b"", kind=b"message/delivery-status"):
    return (
        b"From: MAILER-DAEMON@mx.dest.example\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n"
        b"--r\r\n\r\nSorry.\r\n--r\r\nContent-Type: "
        + kind
        + b"\r\n\r\n"
        + status
        + b"\r\n"
        + returned
        + b"--r--\r\n"
    )


def read_wrong(file):
    """What is read otherwise in this file than its `.json` says, a line each."""
    expected = json.loads(file.with_suffix(".json").read_text())
    expected.pop("about", None)
    expected.pop("is_gone", None)  # for the classifier
    found = read(file.read_bytes(), expected.pop("reverse_path"))
    parts, feedback = expected.pop("parts"), expected.pop("feedback", {})
    rows = [(key, getattr(found, key), value) for key, value in expected.items()]
    rows.append(("parts", len(found.parts), len(parts)))
    for part, fields in zip(found.parts, parts, strict=False):
        rows += [(f"{fields['final_recipient']} {k}", getattr(part, k), v) for k, v in fields.items()]
    rows += [(f"feedback {k}", getattr(found.feedback, k, None), v) for k, v in feedback.items()]
    return [
        f"{file.name}: {name} is {value!r}, not {wanted!r}"
        for name, value, wanted in rows
        if wanted != (list(value) if isinstance(value, tuple) else value)
    ]


@pytest.mark.parametrize(("folder", "least"), [("dsn", 120), ("arf", 25)])
def test_every_report_of_the_corpus_is_read(folder, least):
    files = sorted((CORPUS / folder).glob("*.eml"))
    assert len(files) >= least
    assert [line for file in files for line in read_wrong(file)] == []


def seen(found):
    return found.kind.value, found.message_id, [(p.final_recipient, p.action, p.status) for p in found.parts]


@pytest.mark.parametrize("folder", ["shapes", "autoreply"])
def test_other_notices_and_answers_of_programs_are_read(folder):
    wrong = []
    for name, raw, wanted in samples(folder):
        parts = [(each["recipient"], each["action"], each["status"]) for each in wanted["recipients"]]
        found = seen(read(raw, wanted["reverse_path"]))
        if found != (wanted["kind"], wanted["message_id"], parts):
            wrong.append((name, found))
    assert wrong == []


def status(*groups):
    text = "\r\n\r\n".join(["Reporting-MTA: dns; mx.example", *groups])
    return report(text.encode() + b"\r\n", RETURNED)


A = "Final-Recipient: rfc822; a@d.example\r\n"
B = "Final-Recipient: rfc822; b@d.example\r\n"


@each(
    "groups, kind",
    [
        ([A + "Action: failed\r\nStatus: 5.1.1"], Kind.BOUNCE),
        ([A + "Action: delayed\r\nStatus: 4.4.1"], Kind.DELAYED),
        ([A + "Action: delivered\r\nStatus: 2.0.0"], Kind.DELIVERED),
        ([A + "Action: relayed"], Kind.RELAYED),
        ([A + "Action: expanded"], Kind.EXPANDED),
        ([A + "Status: 2.1.5"], Kind.DELIVERED),
        ([A + "Status: 5.1.1"], Kind.BOUNCE),
        ([A + "Status: 4.2.2"], Kind.BOUNCE),
        ([A + "Action: relayed", B + "Action: failed"], Kind.BOUNCE),
        ([A + "Action: delivered", B + "Action: delayed"], Kind.DELAYED),
        ([A + "Action: nonsense"], Kind.UNRECOGNISED),
    ],
)
def test_the_kind_follows_from_what_happened_to_the_recipients(groups, kind):
    found = read(status(*groups), NULL)
    assert (found.kind, found.message_id, found.recognizer) == (kind, "a@b", "rfc3464")


def test_each_recipient_keeps_its_own_action():
    found = read(status(A + "Action: failed\r\nStatus: 5.2.2", B + "Action: delayed\r\nStatus: 4.4.1"), "")
    assert [(part.final_recipient, part.action, part.status) for part in found.parts] == [
        ("a@d.example", "failed", "5.2.2"),
        ("b@d.example", "delayed", "4.4.1"),
    ]


def test_our_own_notice_is_a_bounce():
    found = read(notice(), NULL)
    assert found.parts == (
        Part("in@example.test", None, "failed", "5.1.1", "550 5.1.1 no such user", None, "report"),
    )
    assert (found.kind, found.message_id) == (Kind.BOUNCE, "o@r")


@pytest.mark.parametrize("record", load("bounces"), ids=lambda record: record["name"])
def test_recorded_bounces(record):
    found = read(base64.b64decode(record["data"]), NULL)
    assert bool(found.tokens) is ("Bounced" in record["deliveries"])
    assert found.kind is Kind.BOUNCE


def test_tokens_that_are_none_of_ours_are_left_out():
    returned = RETURNED.replace(b"Subject", b"X-Postal-MsgID: a b\r\nX-Postal-MsgID: good1\r\nSubject")
    assert read(report(A.encode(), returned), NULL).tokens == ("good1",)


def mail(header, body="Hello.\n"):
    return f"{header}\n\n{body}".encode()


PERSON = "From: Ann <ann@x.example>\nSubject: Re: Your order"


@each(
    "raw, path, kind, recognizer",
    [
        (mail(PERSON), "ann@x.example", Kind.REPLY, ""),
        (mail(PERSON), NULL, Kind.UNRECOGNISED, ""),
        (mail("From: ann@x.example\nSubject: Undeliverable parcels"), "ann@x.example", Kind.REPLY, ""),
        (mail(f"{PERSON}\nAuto-Submitted: auto-replied"), NULL, Kind.AUTOREPLY, "rfc3834"),
        (mail("From: ann@x.example\nSubject: Out of office"), NULL, Kind.AUTOREPLY, "rfc3834"),
        (
            mail(
                "From: ann@x.example\nSubject: Read: Your order\nContent-Type: multipart/report;"
                ' report-type=disposition-notification; boundary="b"',
                "--b\n\nYour message was displayed.\n--b\nContent-Type: message/disposition-notification\n\n"
                "Final-Recipient: rfc822; ann@x.example\nDisposition: manual-action; displayed\n--b--\n",
            ),
            "ann@x.example",
            Kind.AUTOREPLY,
            "rfc8098",
        ),
        (
            mail(
                "From: MAILER-DAEMON@x.example\nSubject: Your message requires verification\n"
                "X-TMDA-Challenge: 1",
                "Please confirm: https://x.example/confirm/1\n",
            ),
            NULL,
            Kind.CHALLENGE,
            "challenge",
        ),
        (b"", NULL, Kind.UNRECOGNISED, ""),
        (b"", "a@b.example", Kind.REPLY, ""),
    ],
    ids=[
        "reply",
        "null reverse-path",
        "a person's subject",
        "vacation",
        "out of office",
        "receipt",
        "challenge",
        "empty",
        "empty with a sender",
    ],
)
def test_what_is_no_bounce_has_a_kind_of_its_own(raw, path, kind, recognizer):
    found = read(raw, path)
    assert (found.kind, found.recognizer, found.parts) == (kind, recognizer, ())


@each(
    "sender, field, path, kind",
    [
        ("x@d.example", "X-Postal-MsgID: t1", NULL, Kind.BOUNCE),
        ("MAILER-DAEMON@d.example", "Message-ID: <m@d.example>", NULL, Kind.BOUNCE),
        ("x@d.example", "Message-ID: <m@d.example>", NULL, Kind.UNRECOGNISED),
        ("x@d.example", "X-Postal-MsgID: t1", "x@d.example", Kind.REPLY),
    ],
)
def test_words_that_nobody_knows_above_a_mail_that_comes_back(sender, field, path, kind):
    returned = f"Received: from a by b\n{field}\nTo: a@d.example\n"
    found = read(mail(f"From: {sender}\nSubject: ?", f"Zzz zz.\n\n{returned}"), path)
    assert found.kind is kind
    assert [part.final_recipient for part in found.parts] == (["a@d.example"] if kind is Kind.BOUNCE else [])


def test_a_vacation_notice_that_quotes_a_report_is_no_bounce():
    inner = status(A + "Action: failed\r\nStatus: 5.1.1")
    raw = (
        b"From: ann@x.example\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n"
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nI am away.\r\n--o\r\n"
        b"Content-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--o--\r\n"
    )
    assert read(raw, NULL).kind is Kind.AUTOREPLY


# Hostile input

HEADER = b"From: MAILER-DAEMON@x\r\nSubject: failure notice\r\n"
REPORT = HEADER + b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
STATUS = b"Content-Type: message/delivery-status\r\n\r\n"
BASE64 = b"Content-Transfer-Encoding: base64\r\n"
FLOODS = {
    "groups": (REPORT + STATUS, b"action: failed\n\n"),
    "fields": (REPORT + STATUS, b"final-recipient: a\n"),
    "folds": (REPORT + STATUS + b"status: a", b"\n "),
    "encoded words": (REPORT + STATUS + b"final-recipient:", b"=?utf-8?q?a?= x"),
    "parts": (REPORT, b"\r\n--b\r\n\r\nx"),
    "attached messages": (REPORT, b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"),
    "messages in messages": (b"", b"Content-Type: message/rfc822\r\n\r\n"),
    "base64": (BASE64 + b"\r\n", b"QUJD"),
    "attached base64": (b"Content-Type: message/rfc822\r\n" + BASE64 + b"\r\n", b"QUJD"),
    "quoted-printable": (b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", b"= "),
    "addresses": (HEADER + b"\r\n", b"a@"),
    "one word": (HEADER + b"\r\n", b"a"),
    "recipients in lines": (HEADER + b"\r\nHi. This is the\n", b"<a@b.example>:\nno\n\n"),
    "signs of a header": (HEADER + b"\r\n", b"Received: a\nx\n"),
    "nearly a Message-ID": (HEADER + b"\r\n", b"message-id "),
    "one long header": (HEADER + b"\r\nMessage-ID:", b"\n a"),
    "blanks": (HEADER + b"\r\n", b" "),
    "line ends": (HEADER + b"\r\n", b"\n"),
    "quotation marks": (HEADER + b"\r\n", b"> "),
    "tags": (b"Content-Type: text/html\r\n\r\n", b"<a "),
    "scripts": (b"Content-Type: text/html\r\n\r\n", b"<script>"),
    "fields of a mail": (b"", b"X-Failed-Recipients: a@b.example\r\n"),
    "lines that are no fields": (b"", b"a\n"),
}


@pytest.mark.parametrize(("beginning", "flood"), FLOODS.values(), ids=FLOODS)
def test_time_to_read_a_hostile_mail_is_bounded(beginning, flood):
    """0.1 s at most on a machine of today; ten times as much for a slow one."""
    raw = beginning + flood * (10_000_000 // len(flood))
    start = time.process_time()
    read(raw, NULL)
    assert time.process_time() - start < 1


@given(st.binary(max_size=300), st.sampled_from([None, "", "a@b.example"]))
def test_hostile_mail_never_raises(data, path):
    read(data, path)
    read(HEADER + b"\r\n" + data, path)
    read(REPORT + STATUS + data + RETURNED + data, path)
    read(REPORT + b"Content-Type: message/feedback-report\r\n\r\n" + data, path)


@given(
    st.lists(st.sampled_from([*(piece for pair in FLOODS.values() for piece in pair), A.encode(), RETURNED]))
)
def test_what_reports_are_made_of_in_any_order_never_raises(pieces):
    found = read(b"".join(pieces), NULL)
    assert len(found.parts) <= 500


# Volumes

LINE = b"a line of a message that comes back with a report\r\n"
GROUP = A.encode() + b"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"


def returned(size):
    return RETURNED.replace(b"text/rfc822-headers", b"message/rfc822") + b"\r\n" + LINE * (size // len(LINE))


LARGE = {
    "report": report(GROUP, returned(10_000_000)),
    "text": HEADER + b"\r\nHi. This is the qmail-send program.\r\n\r\n<a@b.example>:\r\nno (#5.1.1)\r\n\r\n"
    b"--- Below this line is a copy of the message.\r\n\r\n" + LINE * (10_000_000 // len(LINE)),
}


OF_NO_KNOWN_SHAPE = (
    b"From: Mail Delivery System <mailer-daemon@mx.dest.example>\r\nSubject: Undelivered mail\r\n\r\n"
    b"Your mail did not get to ann@dest.example, whom we do not know.\r\n\r\n"
)


@pytest.mark.parametrize(
    "raw", [report(GROUP, returned(9500)), OF_NO_KNOWN_SHAPE + LINE * 200], ids=["report", "words"]
)
def test_a_report_of_ten_kilobytes_is_read_in_a_millisecond(raw):
    start = time.process_time()
    for _ in range(20):
        read(raw, NULL)
    assert (time.process_time() - start) / 20 < 10 * 0.001  # ten times what it may take


@pytest.mark.parametrize("raw", LARGE.values(), ids=LARGE)
def test_a_large_report_takes_little_time_and_memory(raw):
    start = time.process_time()
    read(raw, NULL)
    assert time.process_time() - start < 10 * 0.3
    tracemalloc.start()
    read(raw, NULL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(raw)  # and the mail itself
