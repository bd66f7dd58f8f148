"""The catch's mailboxes: keep caught mail per mail server, find it, and act out what a receiver may do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from django.db.models import F, Q, QuerySet

from postal_server.mail.address import as_stored, split_address
from postal_server.mail.message import header_values, subject
from postal_server.models import CaughtMail, Message, Server, Simulation
from postal_server.services.shared import token

POLL_SECONDS = 0.02
SUBJECT_CHARACTERS = 1000

# The reports of failure that the catch of this process has yet to send: no table knows of them.
reports_under_way: set[object] = set()


def keep(raw: bytes, *, mail_from: str | None, rcpt_to: str, tls: bool, now: datetime) -> CaughtMail:
    """Store one caught mail for the mail server that sent it."""
    return CaughtMail.objects.create(
        server_id=server_of(raw, mail_from),
        mail_from=mail_from,
        rcpt_to=rcpt_to,
        subject=(subject(raw) or "")[:SUBJECT_CHARACTERS],
        raw=raw,
        tls=tls,
        created_at=now,
    )


def server_of(raw: bytes, mail_from: str | None) -> int:
    """The id of the mail server that sent this mail, 0 if that is unknown.

    The return path names the server; notices have none, but bear the token of their message.
    """
    if mail_from:
        found = server_of_return_path(mail_from)
        if found:
            return found
    for value in header_values(raw, "X-Postal-MsgID")[:1]:
        message_id = token.message_id_of(value.strip())
        if message_id is not None:
            return Message.objects.filter(pk=message_id).values_list("server_id", flat=True).first() or 0
    return 0


def server_of_return_path(mail_from: str) -> int:
    found = Server.objects.filter(token=token.server_token_of(mail_from))
    return found.values_list("pk", flat=True).first() or 0


def find(
    server_id: int, *, to: str | None = None, subject: str | None = None, after: int = 0
) -> QuerySet[CaughtMail]:
    """Caught mail of a server in order of arrival: `to` is a whole address, `subject` a part of it."""
    rows = CaughtMail.objects.filter(server_id=server_id, pk__gt=after).order_by("pk")
    if to is not None:
        rows = rows.filter(rcpt_to__iexact=as_stored(to))
    if subject is not None:
        rows = rows.filter(subject__icontains=subject)
    return rows


def wait_for(
    server_id: int, *, to: str | None, subject: str | None, after: int, timeout: float
) -> list[CaughtMail]:
    """The mail that `find` gives, as soon as there is some; empty after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        rows = list(find(server_id, to=to, subject=subject, after=after)[:100])
        if rows or time.monotonic() >= end:
            return rows
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Act:
    """What the catch does for a recipient: answers `reply` at `stage` after `delay_seconds`."""

    stage: str
    reply: str
    delay_seconds: float


def simulation_for(mail_from: str | None, rcpt_to: str) -> Act | None:
    """The act that was asked for this recipient, counted as used; None to accept."""
    server_id = server_of_return_path(mail_from) if mail_from else 0
    domain = split_address(rcpt_to)[1]
    rows = Simulation.objects.filter(server_id=server_id).filter(
        Q(recipient__iexact=rcpt_to) | Q(recipient__iexact=f"*@{domain}")
    )
    row = rows.exclude(times=0).order_by(F("recipient").desc()).first()
    if row is None:
        return None
    if row.times is not None:
        rows.filter(pk=row.pk).update(times=F("times") - 1)
    return Act(row.stage, row.reply, row.delay_seconds)


def report_of_failure(
    raw: bytes, *, return_path: str, rcpt_to: str, reply: str, reporter: str, now: datetime
) -> bytes:
    """The delivery status notification that a remote host would send some time after it took `raw`.

    Source: RFC 3464. The original's header goes along, as most hosts do.
    """
    status = next((word for word in reply.split() if word.count(".") == 2 and word[0] in "45"), "5.0.0")
    head = raw.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    notice = EmailMessage()
    notice["From"] = f"Mail Delivery System <MAILER-DAEMON@{reporter}>"
    notice["To"] = return_path
    notice["Subject"] = "Undelivered Mail Returned to Sender"
    notice["Date"] = format_datetime(now)
    notice["Message-ID"] = make_msgid(domain=reporter)
    notice["Auto-Submitted"] = "auto-replied"
    boundary = "=_postal_catch_report"
    notice["MIME-Version"] = "1.0"
    notice["Content-Type"] = f'multipart/report; report-type=delivery-status; boundary="{boundary}"'
    parts = (
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Your mail to {rcpt_to} could not be delivered: {reply}\r\n",
        "Content-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; {reporter}\r\n\r\n"
        f"Final-Recipient: rfc822; {rcpt_to}\r\nAction: failed\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {reply}\r\n",
        "Content-Type: text/rfc822-headers\r\n\r\n" + head.decode("utf-8", "replace"),
    )
    body = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + f"--{boundary}--\r\n"
    header = notice.as_bytes().replace(b"\r\n", b"\n").split(b"\n\n")[0].replace(b"\n", b"\r\n")
    return header + b"\r\n\r\n" + body.encode("utf-8", "replace")
