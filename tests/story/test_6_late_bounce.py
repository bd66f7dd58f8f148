"""Chapter 6: hours later the receiving host finds that it cannot deliver after all."""

from __future__ import annotations

import smtplib

from .conftest import Caught
from .stranger import Stranger, wait_for

# RFC 3464, as Postfix writes it.
REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mx.example.com>
To: {to}
Subject: Undelivered Mail Returned to Sender
Date: Tue, 3 Jan 2023 04:05:06 +0000
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; bob@example.com
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <bob@example.com>: user unknown

--b
Content-Type: text/rfc822-headers

{header}
--b--
"""
BOUNCED = "from talk.models import Contact\nprint(Contact.objects.get().bounced)"


def test_the_report_becomes_an_event_of_the_notification(project: Stranger, notification: Caught) -> None:
    header = "".join(
        f"{name}: {value}\n" for name, value in notification.message.items() if name != "DKIM-Signature"
    )
    report = REPORT.format(to=notification.return_path, header=header)
    with smtplib.SMTP("127.0.0.1", project.ports[2525]) as client:
        client.sendmail("", [notification.return_path], report.replace("\n", "\r\n").encode())
    wait_for(lambda: project.shell(BOUNCED) == "True", "the bounce")
