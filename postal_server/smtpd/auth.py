"""AUTH (RFC 4954): PLAIN and LOGIN, in which only the key matters (contract 5.3), and CRAM-MD5.

Each mechanism is a generator: it yields challenges, is sent the client's responses, and returns the
principal. `Authenticator` runs them for one connection.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Generator

from postal_server.mail.smtp_reply import Reply

from . import replies
from .handler import ClientSession, Principal, SmtpHandler
from .replies import Answer
from .shared import METRIC, Shared

logger = logging.getLogger(__name__)

Exchange = Generator[str, bytes, Principal]


class AuthFailed(Exception):
    """The exchange ended without a principal.

    `label` is that of `Answer`. `is_wrong_key`: no credential has the key.
    """

    def __init__(self, reply: Reply, label: str, *, is_wrong_key: bool) -> None:
        super().__init__(reply.text)
        self.reply = reply
        self.label = label
        self.is_wrong_key = is_wrong_key


WRONG_KEY = "invalid-credentials"


def decode(line: bytes) -> bytes:
    """The decoded text, empty if it is not base64."""
    try:
        return binascii.a2b_base64(line)
    except binascii.Error:
        return b""


def plain(initial: bytes, handler: SmtpHandler, hostname: str) -> Exchange:
    """`[authorization identity] NUL user NUL key` (RFC 4616)."""
    line = initial or (yield "")
    fields = decode(line).split(b"\0")
    if len(fields) < 2:
        raise AuthFailed(replies.AUTH_PROTOCOL_ERROR, "missing-credentials", is_wrong_key=False)
    return _holder(fields[-1], handler)


def login(initial: bytes, handler: SmtpHandler, hostname: str) -> Exchange:
    """A user name, which may come with the command, then the key; the user name is ignored."""
    if not initial:
        yield "Username:"
    line = yield "Password:"
    return _holder(decode(line), handler)


def cram_md5(initial: bytes, handler: SmtpHandler, hostname: str) -> Exchange:
    """A digest of our challenge with any key of the mail server that the user name names (RFC 2195).

    A client with another user name, which the other mechanisms accept, cannot know that it matters here: such
    clients try this mechanism first, and then one in which only their key matters.
    """
    challenge = f"<{secrets.token_hex(10)}@{hostname}>"
    line = yield challenge
    username, _, digest = decode(line).decode("utf-8", "replace").strip().rpartition(" ")
    keys_of_server = handler.find_cram_keys(username)
    if keys_of_server is None:
        raise AuthFailed(replies.DENIED, "", is_wrong_key=False)
    for principal, secret in keys_of_server:
        wanted = hmac.new(secret.encode(), challenge.encode(), hashlib.md5).hexdigest()
        if hmac.compare_digest(wanted.encode(), digest.lower().encode()):
            return principal
    raise AuthFailed(replies.DENIED, WRONG_KEY, is_wrong_key=True)


def _holder(secret: bytes, handler: SmtpHandler) -> Principal:
    principal = handler.authenticate(secret.decode("utf-8", "replace"))
    if principal is None:
        raise AuthFailed(replies.INVALID_CREDENTIAL, WRONG_KEY, is_wrong_key=True)
    return principal


MECHANISMS: dict[str, Callable[[bytes, SmtpHandler, str], Exchange]] = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
}
PLAINTEXT_MECHANISMS = "PLAIN LOGIN"  # as EHLO lists them


class Authenticator:
    """AUTH on one connection. A client that succeeds becomes the `principal` of the session."""

    def __init__(self, shared: Shared, session: ClientSession) -> None:
        self._shared = shared
        self._session = session
        self._exchange: Exchange | None = None  # awaits a response

    @property
    def mechanisms(self) -> str:
        """The mechanisms that EHLO offers."""
        return f"CRAM-MD5 {PLAINTEXT_MECHANISMS}" if self._may_use_plaintext() else "CRAM-MD5"

    def begin(self, mechanism: str, argument: str, now: float) -> str | Answer:
        """Carry out `AUTH mechanism argument`: the next challenge, or the answer that ends the exchange.

        `now` is in seconds of a monotonic clock.
        """
        self._shared.count(METRIC + "commands_total", command="AUTH " + mechanism)
        if mechanism != "CRAM-MD5" and not self._may_use_plaintext():
            return Answer(replies.TLS_REQUIRED, "authentication-required")
        if self._shared.throttle.wait("", self._session.client_address, now):
            return Answer(replies.TOO_MANY_AUTH_FAILURES, "too-many-auth-failures")
        initial = argument.strip().encode()
        exchange = MECHANISMS[mechanism](initial, self._shared.handler, self._shared.options.hostname)
        return self._advance(exchange, None, now)

    def respond(self, line: bytes, now: float) -> str | Answer:
        """Give the exchange the client's response: the next challenge, or the answer that ends it."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        if line.strip() == b"*":  # the client gives up (RFC 4954 section 4): it guessed no key
            return Answer(replies.AUTH_CANCELLED)
        return self._advance(exchange, line, now)

    def cancel(self) -> None:
        """Forget the exchange."""
        self._exchange = None

    def _may_use_plaintext(self) -> bool:
        """May a key be sent as it is?"""
        options, has_tls = self._shared.options, bool(self._session.tls)
        return has_tls or self._shared.certificates is None or options.plaintext_auth

    def _advance(self, exchange: Exchange, line: bytes | None, now: float) -> str | Answer:
        try:
            challenge = next(exchange) if line is None else exchange.send(line)
        except StopIteration as done:
            principal: Principal = done.value
            self._session.principal = principal
            return Answer(replies.granted(principal.path))
        except AuthFailed as error:
            self._session.principal = None
            if error.is_wrong_key:
                self._shared.throttle.failed("", self._session.client_address, now)
                logger.info("%s: AUTH failed (%s)", self._session.id, self._session.client_address)
            return Answer(error.reply, error.label)
        self._exchange = exchange
        return challenge
