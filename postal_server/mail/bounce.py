"""Is this mail a bounce, of which message, and for good?

A DSN (RFC 3464) says so itself; recognizers follow for servers that send something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from . import mime
from .dsn import DeliveryReport, RecipientStatus, parse_report
from .header import header_values, subject
from .message_view import body_text

MAX_TOKENS = 100
MAX_TOKEN = 500  # bytes from a token's name to its end
MAX_DECODED = 1_000_000  # bytes of encoded parts that are searched for tokens
MAX_TEXT = 50_000  # characters of an explanation that are read
MAX_FIELD = 2000  # characters of a subject or From

# Postal's search (contract 7.1 rule 2): any character for the X, any white space before the token.
_TOKEN_NAME = b"-postal-msgid:"
_TOKEN = re.compile(rb"(?i).-Postal-MsgID:\s*([A-Za-z0-9]+)")
_ADDRESS = r"<?([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253})>?"
_STATUS = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?!\.?\d)", re.ASCII)
_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?=[ -])", re.ASCII)

# RFC 3463: class 5, but the address itself is good: full, too big, system trouble, expired, policy.
_NOT_THE_ADDRESS = re.compile(r"5\.(?:2\.[23]|3\.|4\.7\b|7\.)")
_FULL = re.compile(r"(?i)quota|mailbox (?:is )?full|over ?limit|try again|temporar")
_WAITING = re.compile(r"(?i)delayed|still trying|will (?:keep|be) (?:trying|retried)|do not need to resend")
_FAILED_SUBJECT = re.compile(
    r"(?i)undeliver|returned mail|delivery (?:status|fail|problem|report|notif)|failure notice|mail delivery"
    r"|could ?n.t be delivered|not delivered|unzustellbar|non remis"
)
_MAILER = re.compile(r"(?i)\b(?:mailer-daemon|postmaster|mail-daemon|microsoftexchange)")


class BounceKind(Enum):
    """HARD: a permanent failure. SOFT: a transient one. DELAYED: still trying. DELIVERED: no failure."""

    HARD = "hard"
    SOFT = "soft"
    DELAYED = "delayed"
    DELIVERED = "delivered"


@dataclass(frozen=True)
class Bounce:
    """What a bounce reports. `tokens` are those of our own messages that it quotes, in order.

    `recipient` is the address that failed; `status` an enhanced code (RFC 3463); `diagnostic` what the
    remote server said; `original_message_id` is without brackets.
    """

    kind: BounceKind
    tokens: tuple[str, ...] = ()
    recipient: str | None = None
    status: str | None = None
    diagnostic: str | None = None
    original_message_id: str | None = None
    report: DeliveryReport | None = None


def recognize(raw: bytes) -> Bounce | None:
    """The bounce in a raw message, or None if nothing shows that it is one. Never raises.

    Unlike Postal (contract, Q22) reports are understood: a delay is no failure, and decoded parts are
    searched for tokens too. A token without any explanation is a soft bounce.
    """
    root = mime.parse(raw, into_messages=True, for_reading=True)
    tokens = find_tokens(root)
    if report := parse_report(root):
        return _from_report(report, tokens)
    header, text = raw[: root.body_start], _text(root)
    for recognizer in _RECOGNIZERS:
        if bounce := recognizer(header, text):
            return Bounce(bounce.kind, tokens, bounce.recipient, bounce.status, bounce.diagnostic)
    return Bounce(BounceKind.SOFT, tokens) if tokens else None


def find_tokens(root: mime.Part) -> tuple[str, ...]:
    """Every message token in a message: in its raw text, as Postal looks, and in its decoded parts."""
    tokens = dict.fromkeys(_tokens(root.raw))
    left = MAX_DECODED
    for part in root.walk():
        if part.is_encoded and not part.children and left > 0:
            tokens |= dict.fromkeys(_tokens(part.content_of(left)))
            left -= part.end - part.body_start
    return tuple(tokens)[:MAX_TOKENS]


def _tokens(text: bytes) -> Iterator[str]:
    """Postal's search, but that the regular expression is tried only where the name stands."""
    lower = text.lower()
    position = lower.find(_TOKEN_NAME)
    for _ in range(MAX_TOKENS):
        if position < 0:
            return
        if match := _TOKEN.match(text, max(position - 1, 0), position + MAX_TOKEN):
            yield match[1].decode("ascii")
        position = lower.find(_TOKEN_NAME, position + 1)


def _from_report(report: DeliveryReport, tokens: tuple[str, ...]) -> Bounce:
    """The worst that the report says about any recipient."""
    kinds = [(_kind_of(recipient), recipient) for recipient in report.recipients]
    order = list(BounceKind)
    kind, worst = min(kinds, key=lambda pair: order.index(pair[0]), default=(BounceKind.SOFT, None))
    return Bounce(
        kind=kind,
        tokens=tokens,
        recipient=(worst.final_recipient or worst.original_recipient) if worst else None,
        status=worst.status if worst else None,
        diagnostic=worst.diagnostic if worst else None,
        original_message_id=report.original_message_id,
        report=report,
    )


def _kind_of(recipient: RecipientStatus) -> BounceKind:
    """RFC 3464 section 2.3.3. A missing or unknown action follows from the status."""
    if recipient.action == "delayed":
        return BounceKind.DELAYED
    if recipient.action in ("delivered", "relayed", "expanded"):
        return BounceKind.DELIVERED
    if recipient.action != "failed" and (recipient.status or "").startswith("2"):
        return BounceKind.DELIVERED
    return failure_kind(recipient.status, recipient.diagnostic)


def failure_kind(status: str | None, diagnostic: str | None) -> BounceKind:
    """HARD or SOFT for a failure, by its status, else by what the server said."""
    text = diagnostic or ""
    if status is None or status.endswith(".0.0"):
        enhanced = _STATUS.search(text)
        code = _CODE.search(text)
        status = enhanced[1] if enhanced else f"{code[1][0]}.0.0" if code else status
    if status is None or not status.startswith("5") or _NOT_THE_ADDRESS.match(status):
        return BounceKind.SOFT
    return BounceKind.SOFT if status == "5.0.0" and _FULL.search(text) else BounceKind.HARD


def _text(root: mime.Part) -> str:
    """The explanation: the first plain text of the message."""
    part = next((p for p in root.walk() if not p.children and p.mime_type == "text/plain"), None)
    if part is None:
        return ""
    beginning = replace(part, end=min(part.end, part.body_start + 4 * MAX_TEXT))
    return body_text(beginning)[:MAX_TEXT].replace("\r\n", "\n")


def _explained(recipient: str | None, explanation: str) -> Bounce:
    diagnostic = " ".join(explanation.split())[:500] or None
    status = _STATUS.search(explanation)
    return Bounce(
        kind=failure_kind(status[1] if status else None, diagnostic),
        recipient=recipient,
        status=status[1] if status else None,
        diagnostic=diagnostic,
    )


def _exim(header: bytes, text: str) -> Bounce | None:
    """Exim names the recipients in a header and explains below a line that holds the address."""
    values = header_values(header, "X-Failed-Recipients")
    failed = [address for value in values for address in value.split(",")]
    if not failed:
        return None
    recipient = failed[0].strip()
    return _explained(recipient, text.partition(f"{recipient}\n")[2].partition("\n\n")[0] or text[:500])


_QMAIL_PARAGRAPH = re.compile(_ADDRESS + r":\n((?:[^\n]+(?:\n|\Z))+)")


def _qmail(header: bytes, text: str) -> Bounce | None:
    """qmail's QSBMF: paragraphs that begin with `<address>:` after a fixed greeting."""
    if not text.lstrip().startswith("Hi. This is the"):
        return None
    match = _QMAIL_PARAGRAPH.search(text)
    return _explained(match[1], match[2]) if match else None


_WROTE = re.compile(_ADDRESS)


def _mailer_daemon(header: bytes, text: str) -> Bounce | None:
    """Anything else whose subject speaks of failure; the first address in it is the recipient."""
    about = (subject(header) or "")[:MAX_FIELD]
    is_mailer = any(_MAILER.search(value[:MAX_FIELD]) for value in header_values(header, "From"))
    if not (is_mailer and _FAILED_SUBJECT.search(about)):
        return None
    match = _WROTE.search(text)
    bounce = _explained(match[1] if match else None, text[match.end() :][:500] if match else text[:500])
    if _WAITING.search(f"{about} {text[:2000]}"):
        return Bounce(BounceKind.DELAYED, (), bounce.recipient, bounce.status, bounce.diagnostic)
    return bounce


_RECOGNIZERS: tuple[Callable[[bytes, str], Bounce | None], ...] = (_exim, _qmail, _mailer_daemon)
