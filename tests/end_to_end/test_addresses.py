"""Addresses of every kind, from Django's mail to the next host, and over SMTP."""

from __future__ import annotations

import smtplib

import pytest
from django.core.mail import EmailMessage

MAILBOXES = [
    ("bob@example.org", "bob@example.org"),
    ('"a@b"@example.org', '"a@b"@example.org'),
    ('"john"@example.org', "john@example.org"),
    ('"Doe, Jane" <jane@example.org>', "jane@example.org"),
    ("Ann <ann@bücher.example>", "ann@xn--bcher-kva.example"),
]


@pytest.mark.parametrize(("written", "mailbox"), MAILBOXES)
def test_django_s_mail_reaches_the_mailbox_that_was_written(project, written, mailbox):
    mail = EmailMessage("Hi", "Hello", f"app@{project.domain}", [written])
    assert mail.send() == 1
    assert [status.status for status in mail.anymail_status.recipients.values()] == ["queued"]
    assert project.outbox.wait_for(to=mailbox).rcpt_to == mailbox


@pytest.mark.parametrize(
    ("path", "mailbox"),
    [
        *[(written, mailbox) for written, mailbox in MAILBOXES if written.isascii() and "<" not in written],
        ("@relay.example:carl@example.org", "carl@example.org"),
        ("dora@example.org.", "dora@example.org"),
    ],
)
def test_smtp_reaches_the_mailbox_that_was_written(postal, path, mailbox):
    with smtplib.SMTP(*postal.smtp_address, timeout=20) as client:
        client.login("postal", postal.smtp_key)
        client.docmd("MAIL", f"FROM:<app@{postal.domain}>")
        assert client.docmd("RCPT", f"TO:<{path}>")[0] == 250
        assert client.data(f"From: app@{postal.domain}\r\nSubject: Hi\r\n\r\nHello\r\n")[0] == 250
    caught = postal.outbox.wait_for(to=mailbox)
    assert caught.rcpt_to == mailbox
    assert caught.message["Message-ID"]
    assert caught.message["Date"]
