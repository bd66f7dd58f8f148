from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.delivery_status import DeliveryStatus, Part, is_status, read_status
from tests.each import each

TWO = """Reporting-MTA: dns; mx.example
Original-Envelope-Id: abc123

Original-Recipient: rfc822;a@b.example
Final-Recipient: RFC822; <c@d.example>
Action: Delayed (x)
Status: 4.4.1 (no answer)
Remote-MTA: dns; mx.d
Diagnostic-Code: smtp; 421
  wait

Final-Recipient: rfc822; e@f.example
Action: failed
"""
EXPECTED = DeliveryStatus(
    "mx.example",
    "abc123",
    (
        Part("c@d.example", "a@b.example", "delayed", "4.4.1", "421 wait", "mx.d"),
        Part("e@f.example", action="failed"),
    ),
)


@each(
    "text",
    [
        TWO,
        TWO.replace("\n", "\r\n"),
        TWO.replace("\n\n", "\n"),
        TWO.replace("\n", "\n\n").replace("\n\n  wait", "\n  wait"),
        TWO.replace("\n\n", "\n\n \n\n"),
        "\n\n" + TWO,
        TWO.replace("  wait", "wait"),
    ],
    ids=[
        "LF",
        "CRLF",
        "no blank line",
        "blank lines everywhere",
        "many",
        "above",
        "a fold without its blank",
    ],
)
def test_groups_are_separated_however_they_are_spaced(text):
    assert read_status(text.encode()) == EXPECTED


@each(
    "field, name, value",
    [
        ("Final-Recipient: a@b.example", "final_recipient", "a@b.example"),
        ("Final-Recipient: rfc822;a@b.example (Ann)", "final_recipient", "a@b.example"),
        ('Final-Recipient: rfc822; "Ann" <a@b.example>', "final_recipient", "a@b.example"),
        ("Final-Recipient: rfc822; <rfc822; a@b.example>", "final_recipient", "a@b.example"),
        ("Final-Recipient: utf-8; ö@b.example", "final_recipient", "ö@b.example"),
        ("Original-Recipient: utf-8; \\x{F6}@b.example", "original_recipient", "ö@b.example"),
        ("Original-Recipient: rfc822;a+2Btag@b.example", "original_recipient", "a+tag@b.example"),
        ("Original-Recipient: rfc822;a+40b.example", "original_recipient", "a@b.example"),
        ("Original-Recipient: utf-8;+C3+B6@b.example", "original_recipient", "ö@b.example"),
        ("Original-Recipient: rfc822;ö+3D@b.example", "original_recipient", "ö=@b.example"),
        ("Final-Recipient: rfc822;a+tag@b.example", "final_recipient", "a+tag@b.example"),
        ("Final-Recipient: rfc822;", "final_recipient", None),
        ("Action: failure", "action", "failed"),
        ("Action: Deferred", "action", "delayed"),
        ("Action: delivered (to mailbox)", "action", "delivered"),
        ("Action: whatever", "action", ""),
        ("Status: #5.1.10 (x)", "status", "5.1.10"),
        ("Status: 5.1", "status", None),
        ("Status: 15.1.1", "status", None),
        ("Diagnostic-Code: X-Postfix; unknown user", "diagnostic", "unknown user"),
        ("Diagnostic-Code: 550 no; really", "diagnostic", "550 no; really"),
        ("Diagnostic-Code: smtp; =?utf-8?q?550_gr=C3=BC=C3=9F?=", "diagnostic", "550 grüß"),
        ("X-Supplementary-Info: <x.example #5.1.1 smtp;550>", "diagnostic", "<x.example #5.1.1 smtp;550>"),
        ("Remote-MTA: mx.example", "remote_mta", "mx.example"),
    ],
)
def test_values_are_read_as_they_are_written(field, name, value):
    (part,) = read_status(f"{field}\nX-Other: 1\nStatus: 5.0.0\n".encode()).parts
    assert getattr(part, name) == value


@each(
    "field, envelope_id",
    [("a+2Bb", "a+b"), ("", None), ("QQ+3D+3D", "QQ=="), ("rfc822; x", "x")],
)
def test_the_envelope_id(field, envelope_id):
    assert read_status(f"Original-Envelope-Id: {field}\n".encode()).envelope_id == envelope_id


def test_a_long_diagnostic_is_kept_to_2000_characters():
    (part,) = read_status(b"Action: failed\nDiagnostic-Code: smtp; " + b"x" * 5000 + b"\n").parts
    assert part.diagnostic == "x" * 2000


def test_a_flood_of_recipients_is_cut():
    status = read_status(b"Final-Recipient: rfc822; a@b.example\nAction: failed\n\n" * 20_000)
    assert len(status.parts) == 500


@each("content", [b"", b"\n\n", b"no fields here", b"Reporting-MTA: dns; x"])
def test_a_report_without_a_recipient(content):
    assert read_status(content).parts == ()


@each(
    "text, answer",
    [
        (TWO, True),
        ("\r\n\r\n" + TWO, True),
        ("Final-Recipient: rfc822; a@b.example\nAction: failed\n", True),
        ("Hello\n" + TWO, False),
        ("Action: failed\nStatus: 5.1.1\n", False),
        ("Subject: x\n\nHello", False),
        ("", False),
    ],
)
def test_status_fields_are_known_by_their_names(text, answer):
    assert is_status(text) is answer


@given(st.binary(max_size=300))
def test_hostile_fields_never_raise(data):
    read_status(data)
    read_status(TWO.encode() + data)
    is_status(data.decode("latin-1"))


def test_fields_that_are_all_indented():
    assert read_status("".join(f"    {line}\n" for line in TWO.splitlines()).encode()) == EXPECTED
