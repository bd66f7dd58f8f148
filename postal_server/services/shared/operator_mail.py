"""Mail of the installation itself to the people who run it, through the host that the group `smtp` names.

Not a message of any server: it is neither stored nor counted. Where all mail is caught, so is this.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import replace
from email.message import EmailMessage
from email.utils import formataddr

from django.contrib.auth import get_user_model

from postal_server.conf import Config, Smtp

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


def send(mails: Sequence[EmailMessage], smtp: Smtp) -> None:
    """Send the mails. Raises one of `FAILURES`."""
    context = ssl.create_default_context()
    if smtp.openssl_verify_mode == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_SECONDS) as client:
        client.ehlo()
        if smtp.enable_starttls or (smtp.enable_starttls_auto and client.has_extn("starttls")):
            client.starttls(context=context)
        if smtp.username:
            client.login(smtp.username, smtp.password)
        for mail in mails:
            client.send_message(mail)


def host(config: Config) -> Smtp:
    """The group `smtp`, or the catch in its place where all mail is caught."""
    if not config.catches_all_mail:
        return config.smtp
    catch = config.delivery
    return replace(
        config.smtp, host=catch.catch_host, port=catch.catch_port, username="", openssl_verify_mode="none"
    )


def administrators() -> list[str]:
    """The addresses of administrators."""
    users = get_user_model()._default_manager.filter(is_superuser=True, is_active=True)
    return sorted({address for address in users.values_list("email", flat=True) if address})
