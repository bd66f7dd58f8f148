import pytest

from postal_server.mail.report import Kind, Part, read

from .test_dsn import RETURNED, report


def status(*groups):
    text = "\r\n\r\n".join(["Reporting-MTA: dns; mx.example", *groups])
    return report(text.encode() + b"\r\n", RETURNED)


A = "Final-Recipient: rfc822; a@d.example\r\n"
B = "Final-Recipient: rfc822; b@d.example\r\n"


@pytest.mark.parametrize(
    ("groups", "kind"),
    [
        ([A + "Action: failed\r\nStatus: 5.1.1"], Kind.BOUNCE),
        ([A + "Action: delayed\r\nStatus: 4.4.1"], Kind.DELAYED),
        ([A + "Action: delivered\r\nStatus: 2.0.0"], Kind.DELIVERED),
        ([A + "Action: relayed"], Kind.RELAYED),
        ([A + "Action: expanded"], Kind.EXPANDED),
        ([A + "Status: 2.1.5"], Kind.DELIVERED),
        ([A + "Status: 5.1.1"], Kind.BOUNCE),
        ([A + "Action: relayed", B + "Action: failed"], Kind.BOUNCE),
        ([A + "Action: delivered", B + "Action: delayed"], Kind.DELAYED),
    ],
)
def test_the_kind_follows_from_what_happened_to_the_recipients(groups, kind):
    found = read(status(*groups), None)
    assert (found.kind, found.message_id, found.recognizer) == (kind, "a@b", "rfc3464")


def test_each_recipient_keeps_its_own_action():
    found = read(status(A + "Action: failed\r\nStatus: 5.2.2", B + "Action: delayed\r\nStatus: 4.4.1"), "")
    assert found.parts == (
        Part("a@d.example", None, "failed", "5.2.2"),
        Part("b@d.example", None, "delayed", "4.4.1"),
    )


def test_a_reply_is_a_reply():
    mail = b"From: ann@x.example\nSubject: Re: hello\n\nThanks!\n"
    assert read(mail, "ann@x.example").kind is Kind.REPLY
    assert read(mail, None).kind is Kind.UNRECOGNISED
