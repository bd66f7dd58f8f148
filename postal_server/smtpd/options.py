"""The options and limits of the SMTP server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from postal_server.services.shared.throttle import Limits

MAX_LINE_BYTES = 2048  # RFC 5321 section 4.5.3.1.4 asks for 512; addresses with parameters may be longer
MAX_AUTH_LINE_BYTES = 12_288  # RFC 4954 section 4
MAX_HELO_LENGTH = 255


def logs_no_client(address: str) -> bool:
    """The default of `logs_client`."""
    return False


@dataclass(frozen=True)
class Options:
    """The options of an SMTP server. `hostname` is `postal.smtp_hostname`.

    `max_commands` and `max_errors` are for the time since the last accepted message, or the connection.
    """

    hostname: str
    plaintext_auth: bool = False
    proxy_protocol: bool = False
    logs_client: Callable[[str], bool] = logs_no_client  # are connections from this address logged?
    max_message_bytes: int = 14 << 20
    max_header_bytes: int = 256 << 10
    max_header_fields: int = 1000
    max_unfinished_bytes: int = 256 << 20  # memory for all messages that are being received
    max_unfinished_bytes_before_auth: int = 128 << 20  # for those of clients without authentication
    max_recipients: int = 1000
    max_commands: int = 2000
    max_errors: int = 50
    max_connections: int = 1000
    max_connections_per_client: int = 100
    max_recipients_per_client: int = 0  # a minute, unless it authenticates; 0: no limit
    login_limits: Limits = field(default_factory=Limits)
    command_timeout: timedelta = timedelta(minutes=5)  # RFC 5321 section 4.5.3.2.7
    data_timeout: timedelta = timedelta(minutes=3)  # section 4.5.3.2.5
    min_data_rate: int = 1024  # bytes a second; a client may be slower than that for `data_timeout`
    tls_timeout: timedelta = timedelta(seconds=60)
