"""Every SMTP reply that this server sends, and the one place where a refusal becomes a reply.

Texts are Postal's (contract 5); the enhanced status codes (RFC 3463) are not.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from postal_server.errors import Busy, PostalServerError, Refusal
from postal_server.mail.smtp_reply import Reply


class Answer(NamedTuple):
    """A reply, and its label in the metric `client_errors`; empty where the client made no error."""

    reply: Reply
    label: str = ""


OK = Reply(250, "OK", "2.0.0")
CLOSING = Reply(221, "Closing Connection", "2.0.0")
READY_FOR_TLS = Reply(220, "Ready to start TLS", "2.0.0")
GO_AHEAD = Reply(354, "Go ahead")

INVALID_COMMAND = Reply(502, "Invalid/unsupported command", "5.5.1")
BAD_CHARACTERS = Reply(500, "Command has characters that are not allowed", "5.5.2")
LINE_TOO_LONG = Reply(500, "Command line is too long", "5.5.6")
NO_TLS = Reply(502, "TLS not available", "5.5.1")
ALREADY_TLS = Reply(503, "TLS already active", "5.5.1")
TLS_REQUIRED = Reply(530, "Must issue a STARTTLS command first", "5.7.0")
PROXY_ERROR = Reply(502, "Proxy Error", "5.5.1")

UNKNOWN_MECHANISM = Reply(504, "Unrecognized authentication mechanism", "5.5.4")
AUTH_PROTOCOL_ERROR = Reply(535, "Authenticated failed - protocol error", "5.7.8")
INVALID_CREDENTIAL = Reply(535, "Invalid credential", "5.7.8")
DENIED = Reply(535, "Denied", "5.7.8")
AUTH_CANCELLED = Reply(501, "Authentication cancelled", "5.7.0")
TOO_MANY_AUTH_FAILURES = Reply(454, "Too many failed authentications, try again later", "4.7.0")

EHLO_FIRST = Reply(503, "EHLO/HELO first please", "5.5.1")
MAIL_FIRST = Reply(503, "EHLO/HELO and MAIL FROM first please", "5.5.1")
RCPT_FIRST = Reply(503, "HELO/EHLO, MAIL FROM and RCPT TO before sending data", "5.5.1")
BAD_PARAMETER = Reply(501, "Parameter is not valid", "5.5.4")
BDAT_UNDER_WAY = Reply(503, "Finish the message with BDAT LAST first", "5.5.1")
EMPTY_RECIPIENT = Reply(501, "RCPT TO should not be empty", "5.1.3")
INVALID_RECIPIENT = Reply(501, "Invalid RCPT TO", "5.1.3")
TOO_MANY_RECIPIENTS = Reply(452, "Too many recipients", "4.5.3")
TOO_FAST = Reply(450, "Too many recipients in a minute, try again later", "4.7.1")
NO_VALID_RECIPIENTS = Reply(554, "No valid recipients", "5.5.1")

BUSY = Reply(452, "Insufficient system storage, try again later", "4.3.1")
LOCAL_ERROR = Reply(451, "Local error, try again later", "4.3.0")
SHUTTING_DOWN = Reply(421, "Service shutting down, try again later", "4.3.2")
TIMED_OUT = Reply(421, "Timed out", "4.4.2")
NOT_HTTP = Reply(421, "This is SMTP, not HTTP", "4.7.0")
TOO_MANY_COMMANDS = Reply(421, "Too many commands without a message", "4.7.0")
TOO_MANY_ERRORS = Reply(421, "Too many errors", "4.7.0")
GIVING_WAY = Reply(421, "Idle for too long while others wait, try again later", "4.3.2")
TOO_MANY_CONNECTIONS = Reply(421, "Too many connections, try again later", "4.7.0")

# Refusal's code -> SMTP code, enhanced code, label in `client_errors`, and the text where the API's differs.
REFUSALS: dict[str, tuple[int, str, str, str | None]] = {
    "ServerSuspended": (535, "5.7.1", "server-suspended", "Mail server has been suspended"),
    "InvalidServerToken": (550, "5.1.1", "invalid-server-token", None),
    "InvalidRouteToken": (550, "5.1.1", "invalid-route-token", None),
    "RouteRejects": (550, "5.7.1", "route-rejected", None),
    "AuthenticationRequired": (530, "5.7.0", "authentication-required", None),
    "LoopDetected": (550, "5.4.6", "loop-detected", None),
    "MessageTooLarge": (552, "5.3.4", "message-too-large", None),
    "HeaderTooLarge": (552, "5.3.4", "header-too-large", None),
    "MalformedHeader": (550, "5.6.0", "malformed-header", None),
    "UnauthenticatedFromAddress": (530, "5.7.1", "from-name-invalid", "From/Sender name is not valid"),
    "FromAddressMissing": (530, "5.7.1", "from-name-invalid", "From/Sender name is not valid"),
}
OTHER_REFUSAL = (550, "5.7.1", "refused", None)


def granted(path: str) -> Reply:
    """The reply to successful authentication; `path` is `organization/server`."""
    return Reply(235, f"Granted for {path}", "2.7.0")


def too_large(max_message_bytes: int) -> Answer:
    """The answer to a message above the limit, which Postal names in MiB."""
    text = f"Message too large (maximum size {max_message_bytes >> 20}MB)"
    return Answer(Reply(552, text, "5.3.4"), "message-too-large")


def answer_to(error: PostalServerError) -> Answer:
    """The answer to what a `Refusal`, `Busy` or another error of ours stands for."""
    if isinstance(error, Refusal):
        code, enhanced, label, text = REFUSALS.get(error.code, OTHER_REFUSAL)
        return Answer(Reply(code, text or error.text or "Refused", enhanced), label)
    return Answer(BUSY if isinstance(error, Busy) else LOCAL_ERROR)


@functools.lru_cache(maxsize=256)
def encode(reply: Reply) -> bytes:
    """The reply as it is sent; text quoted from a peer cannot end its line."""
    text = " ".join(str(reply).split("\r"))
    return text.replace("\n", "\r\n").encode("utf-8", "replace") + b"\r\n"
