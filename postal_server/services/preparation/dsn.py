"""Which reports to ask the next host for, if it has the DSN extension (RFC 3461)."""

from __future__ import annotations

from postal_server.conf import Config
from postal_server.services.shared.token import message_token
from postal_server.services.shared.work import Dsn

OF_OUTGOING = "FAILURE,DELAY"
OF_INCOMING = "FAILURE"  # its sender does not learn of a delay
OF_REPORTS = "NEVER"  # not even by a host behind the next one that gives them a reverse path


def wanted_reports(
    notify: str, reverse_path: str | None, message_id: int, recipient: str, config: Config
) -> Dsn | None:
    """What to ask for about a message that was accepted for `recipient`; None if `smtp_client.dsn` is off.

    `notify` is one of the above. Mail without a reverse path gets no report, whatever it is.
    """
    if not config.smtp_client.dsn:
        return None
    if reverse_path is None:
        return Dsn(OF_REPORTS)
    return Dsn(notify, message_token(message_id), recipient)
