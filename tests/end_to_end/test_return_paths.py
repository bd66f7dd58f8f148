"""Reports to every form of return path that was ever sent, with 8-bit subjects, over real SMTP."""

from __future__ import annotations

import smtplib

import pytest
import requests

REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mx.example.org>
To: <{path}>
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_x"

--=_x
Content-Type: text/plain; charset={charset}
Content-Transfer-Encoding: 8bit

{subject}

--=_x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1

--=_x
Content-Type: text/rfc822-headers

X-Postal-MsgID: {token}

--=_x--
"""
FORMS = ["bounces+{server}-{token}", "{server}+{token}", "{server}", "BOUNCES+{server}-{token}"]
SUBJECTS = {
    "utf-8": "Unzustellbar: Grüße",
    "us-ascii": "Unzustellbar: Grüße €",  # in Windows-1252, whatever is declared
    "koi8-r": "Недоставленное сообщение",
    "iso-8859-2": "Wiadomość niedostarczona",
    "shift_jis": "配信できません",
}


def send(postal, recipients):
    answer = requests.post(
        f"{postal.url}/api/v1/send/message",
        json={"to": recipients, "from": f"app@{postal.domain}", "subject": "x", "plain_body": "x"},
        headers={"X-Server-API-Key": postal.api_key},
        timeout=10,
    ).json()
    return answer["data"]["messages"]


def test_each_is_taken_tied_and_shown_right(postal):
    cases = {
        f"r{number}-{form}@example.org": (form, domain, charset)
        for number, (domain, charset) in enumerate(
            (domain, charset) for domain in ("rp.localhost", f"psrp.{postal.domain}") for charset in SUBJECTS
        )
        for form in range(len(FORMS))
    }
    sent = send(postal, list(cases))
    postal.wait_until_quiet()
    with smtplib.SMTP(*postal.smtp_address, timeout=30) as client:
        for recipient, (form, domain, charset) in cases.items():
            token = sent[recipient]["token"]
            path = f"{FORMS[form].format(server=postal.token, token=token)}@{domain}"
            text = REPORT.format(
                path=path, subject=SUBJECTS[charset], charset=charset, recipient=recipient, token=token
            )
            raw = text.replace("\n", "\r\n").encode("cp1252" if charset == "us-ascii" else charset)
            client.sendmail("", [path], raw)
    postal.wait_until_quiet()
    rows = postal.messages()
    status = {row["rcpt_to"]: row["status"] for row in rows if row["scope"] == "outgoing"}
    assert {to for to in cases if status[to] != "Bounced"} == set()
    shown = [row["subject"] for row in reversed(rows) if row["scope"] == "incoming"]
    assert shown == [SUBJECTS[charset] for _, _, charset in cases.values()]


@pytest.mark.parametrize(
    "path",
    [
        "bounces+nosuch-{token}@rp.localhost",
        "bounces+{server}-aaaaaaaaaaaaaaaa@rp.localhost",
        "{server}+aaaaaaaaaaaaaaaa@rp.localhost",
        "bounces+{server}-{token}@psrp.other.example",
        "{server}@psrp.other.example",
    ],
)
def test_others_are_refused_at_once(postal, path):
    [message] = send(postal, ["ann@example.org"]).values()
    with smtplib.SMTP(*postal.smtp_address, timeout=30) as client:
        client.ehlo()
        client.mail("")
        answer = client.rcpt(path.format(server=postal.token, token=message["token"]))
    assert answer == (550, b"5.1.1 Invalid server token")
