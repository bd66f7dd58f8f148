"""Ordinary clients of SMTP: who knows the key gets in, and stays in."""

from __future__ import annotations

import smtplib
import warnings

from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import EmailMessage

MAILS = 500


def test_django_sends_500_mails_over_a_connection_each_under_any_user_name(postal):
    """Python's smtplib begins with CRAM-MD5, whatever the name, and goes on to PLAIN."""
    host, port = postal.smtp_address
    names = ["postal", "app@example.test", "tests/nobody", f"tests/{postal.domain.removesuffix('.test')}"]
    for number in range(MAILS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Django 6.1 advises to use MAILERS
            backend = EmailBackend(
                host=host,
                port=port,
                username=names[number % len(names)],
                password=postal.smtp_key,
                timeout=20,
            )
        mail = EmailMessage(f"Mail {number}", "Hello", f"app@{postal.domain}", ["bob@example.org"])
        assert backend.send_messages([mail]) == 1
    postal.outbox.wait_for(subject=f"Mail {MAILS - 1}", timeout=60)
    with smtplib.SMTP(host, port, timeout=20) as client:
        assert client.login("anybody", postal.smtp_key)[0] == 235


def test_nothing_of_it_is_logged_as_a_failure(postal, postal_server):
    before = postal_server.log().count("AUTH failed")
    with smtplib.SMTP(*postal.smtp_address, timeout=20) as client:
        client.login("anybody", postal.smtp_key)
    assert postal_server.log().count("AUTH failed") == before
