"""Ordinary clients of SMTP: who knows the key gets in, and stays in."""

from __future__ import annotations

import smtplib
import warnings

import pytest
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import EmailMessage


@pytest.mark.parametrize("mails", [50, pytest.param(500, marks=pytest.mark.drill)])
def test_django_sends_mails_over_a_connection_each_under_any_user_name(postal, mails):
    """Python's smtplib begins with CRAM-MD5, whatever the name, and goes on to PLAIN.

    That is more often than an address may be wrong (`login.max_failures_per_client`).
    """
    host, port = postal.smtp_address
    names = ["postal", "app@example.test", "tests/nobody", f"tests/{postal.domain.removesuffix('.test')}"]
    for number in range(mails):
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
    postal.outbox.wait_for(subject=f"Mail {mails - 1}", timeout=60)
    with smtplib.SMTP(host, port, timeout=20) as client:
        assert client.login("anybody", postal.smtp_key)[0] == 235


def test_nothing_of_it_is_logged_as_a_failure(postal, postal_server):
    before = postal_server.log().count("AUTH failed")
    with smtplib.SMTP(*postal.smtp_address, timeout=20) as client:
        client.login("anybody", postal.smtp_key)
    assert postal_server.log().count("AUTH failed") == before
