"""Mail of the installation itself to the people who run it, through the host that the group `smtp` names.

Not a message of any server: it is neither stored nor counted. It is caught where other mail for its recipient
is.
"""

from __future__ import annotations

import smtplib
import ssl
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from email.message import EmailMessage
from email.utils import formataddr, getaddresses

from django.contrib.auth import get_user_model

from postal_server.conf import Config, Smtp

from .delivery_policy import policy_of

TIMEOUT_SECONDS = 30
FAILURES = (OSError, smtplib.SMTPException)


def compose(recipients: Iterable[str], subject: str, text: str, smtp: Smtp) -> EmailMessage:
    """A mail in plain text. `subject` is one line."""
    mail = EmailMessage()
    mail["From"] = formataddr((smtp.from_name, smtp.from_address))
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    return mail


def send(mails: Sequence[EmailMessage], config: Config) -> None:
    """Send the mails, each of their recipients' through the host that takes it. Raises one of `FAILURES`."""
    waiting: defaultdict[Smtp, list[tuple[EmailMessage, list[str]]]] = defaultdict(list)
    for mail in mails:
        recipients = defaultdict(list)
        for _, address in getaddresses([mail["To"]]):
            recipients[host(address, config)].append(address)
        for smtp, addresses in recipients.items():
            waiting[smtp].append((mail, addresses))
    for smtp, letters in waiting.items():
        _hand_over(letters, smtp)


def _hand_over(letters: Sequence[tuple[EmailMessage, Sequence[str]]], smtp: Smtp) -> None:
    context = ssl.create_default_context()
    if smtp.openssl_verify_mode == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_SECONDS) as client:
        client.ehlo()
        if smtp.enable_starttls or (smtp.enable_starttls_auto and client.has_extn("starttls")):
            client.starttls(context=context)
        if smtp.username:
            client.login(smtp.username, smtp.password)
        for mail, recipients in letters:
            client.send_message(mail, to_addrs=recipients)


def host(recipient: str, config: Config) -> Smtp:
    """The group `smtp`, or the catch in its place where mail for `recipient` is caught."""
    if not policy_of(config).catches(recipient):
        return config.smtp
    catch = config.delivery
    return replace(
        config.smtp, host=catch.catch_host, port=catch.catch_port, username="", openssl_verify_mode="none"
    )


def administrators() -> list[str]:
    """The addresses of administrators."""
    users = get_user_model()._default_manager.filter(is_superuser=True, is_active=True)
    return sorted({address for address in users.values_list("email", flat=True) if address})
