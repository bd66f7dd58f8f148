"""AUTH exchanges: PLAIN, LOGIN (only the key matters in both, contract 5.3) and CRAM-MD5.

Each is a generator: it yields challenges, is sent the client's lines, and returns the principal.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Generator

from postal_server.mail.reply import Reply

from . import replies
from .handler import Handler, Principal

Exchange = Generator[str, bytes, Principal]


class AuthFailed(Exception):
    """The exchange ended without a principal: what to reply, and the label in `client_errors` (empty: none).

    `is_wrong_key`: a key was tried, and is nobody's.
    """

    def __init__(self, reply: Reply, label: str, *, is_wrong_key: bool) -> None:
        super().__init__(reply.text)
        self.reply = reply
        self.label = label
        self.is_wrong_key = is_wrong_key


WRONG_KEY = "invalid-credentials"


def decode(line: bytes) -> bytes:
    """The decoded text, or nothing if it is no base64."""
    try:
        return binascii.a2b_base64(line)
    except binascii.Error:
        return b""


def plain(initial: bytes, handler: Handler, hostname: str) -> Exchange:
    """`[authorisation identity] NUL user NUL key` (RFC 4616)."""
    line = initial or (yield "")
    fields = decode(line).split(b"\0")
    if len(fields) < 2:
        raise AuthFailed(replies.AUTH_PROTOCOL_ERROR, "missing-credentials", is_wrong_key=False)
    return _holder(fields[-1], handler)


def login(initial: bytes, handler: Handler, hostname: str) -> Exchange:
    """A user name, which may come with the command, then the key."""
    if not initial:
        yield "Username:"
    line = yield "Password:"
    return _holder(decode(line), handler)


def cram_md5(initial: bytes, handler: Handler, hostname: str) -> Exchange:
    """A digest of our challenge under any key of the server that the user name names (RFC 2195).

    Who gives another user name, which the other mechanisms take, cannot know that it matters here: clients
    try this mechanism first, and then one in which their key counts.
    """
    challenge = f"<{secrets.token_hex(10)}@{hostname}>"
    line = yield challenge
    username, _, digest = decode(line).decode("utf-8", "replace").strip().rpartition(" ")
    secrets_of_server = handler.cram_secrets(username)
    if secrets_of_server is None:
        raise AuthFailed(replies.DENIED, "", is_wrong_key=False)
    for principal, secret in secrets_of_server:
        wanted = hmac.new(secret.encode(), challenge.encode(), hashlib.md5).hexdigest()
        if hmac.compare_digest(wanted.encode(), digest.lower().encode()):
            return principal
    raise AuthFailed(replies.DENIED, WRONG_KEY, is_wrong_key=True)


def _holder(secret: bytes, handler: Handler) -> Principal:
    principal = handler.authenticate(secret.decode("utf-8", "replace"))
    if principal is None:
        raise AuthFailed(replies.INVALID_CREDENTIAL, WRONG_KEY, is_wrong_key=True)
    return principal


MECHANISMS: dict[str, Callable[[bytes, Handler, str], Exchange]] = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
}
