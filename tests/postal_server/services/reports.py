"""Reports for tests: mail that comes back, in the forms of RFC 3464, RFC 3834 and RFC 5965."""

from __future__ import annotations

from collections.abc import Iterable

from postal_server.models import Body, Message
from postal_server.rules.status import Scope
from postal_server.services.preparation.job import Job
from postal_server.services.shared.token import message_token

from .conftest import World, store

PATH = "bounces+s8halm-{token}@rp.postal.example.test"
POSTALS_PATH = "s8halm@rp.postal.example.test"

_REPORT = """From: MAILER-DAEMON@mx.dest.example
Subject: Undelivered Mail
Content-Type: multipart/report; report-type=delivery-status; boundary="r"

--r
Content-Type: text/plain

Sorry.
--r
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.dest.example
{of_message}
{groups}
--r
Content-Type: text/rfc822-headers

{returned}From: sender@example.test

--r--
"""
_FEEDBACK = """From: fbl@dest.example
Subject: complaint
Content-Type: multipart/report; report-type=feedback-report; boundary="r"

--r
Content-Type: text/plain

Spam.
--r
Content-Type: message/feedback-report

Feedback-Type: {type}
User-Agent: x/1
Version: 1

--r
Content-Type: message/rfc822

{returned}From: sender@example.test

Hello
--r--
"""


def group(
    recipient: str | None = "a@dest.example",
    action: str = "failed",
    status: str = "5.1.1",
    *,
    original: str | None = None,
    diagnostic: str = "",
) -> str:
    """What a status report says of one recipient."""
    lines = [
        f"Original-Recipient: rfc822; {original}" if original else "",
        f"Final-Recipient: rfc822; {recipient}" if recipient else "",
        f"Action: {action}",
        f"Status: {status}",
        f"Diagnostic-Code: smtp; {diagnostic}" if diagnostic else "",
    ]
    return "".join(f"{line}\n" for line in lines if line)


def status_report(*groups: str, returned: str = "", envelope_id: str = "") -> bytes:
    """A report of RFC 3464; `returned` are fields of the header that it returns."""
    of_message = f"Original-Envelope-Id: {envelope_id}\n" if envelope_id else ""
    text = _REPORT.format(of_message=of_message, groups="\n".join(groups or [group()]), returned=returned)
    return text.replace("\n", "\r\n").encode()


def feedback(type: str = "abuse", returned: str = "") -> bytes:
    return _FEEDBACK.format(type=type, returned=returned).replace("\n", "\r\n").encode()


VACATION = (
    b"From: a@dest.example\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nI am away.\r\n"
)
CHALLENGE = (
    b"From: a@dest.example\r\nSubject: Your email requires verification verify#x\r\nX-Challenge: yes\r\n\r\n"
    b"The message you sent requires that you verify that you are a real live human being.\r\n"
)
REPLY = b"From: a@dest.example\r\nSubject: Re: Hi\r\n\r\nThank you!\r\n"
JUNK = b"From: x@y.example\r\nSubject: Hello\r\n\r\nHello\r\n"


def token_field(message_id: int) -> str:
    return f"X-Postal-MsgID: {message_token(message_id)}\n"


def path_of(message_id: int) -> str:
    """The return path of a message."""
    return PATH.format(token=message_token(message_id))


def arrived(world: World, raw: bytes, path: str = POSTALS_PATH, mail_from: str | None = None, **values):
    """The claim of a report that came to a return path."""
    values = {"scope": Scope.INCOMING, "is_bounce": True, "subject": "Report", **values}
    [claim] = store(world, path, raw=raw, mail_from=mail_from, message_id="report@dest.example", **values)
    return claim


def jobs_of(world: World, claims: Iterable) -> list[Job]:
    server = world.directory().servers[world.server.pk]
    rows = Message.objects.in_bulk([claim.id for claim in claims])
    texts = {row.id: bytes(Body.objects.get(pk=row.body_id).raw) for row in rows.values()}
    return [Job(claim, rows[claim.id], server, texts[claim.id]) for claim in claims]
