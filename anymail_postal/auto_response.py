"""Is this mail automatic? A machine's answer must never be answered by a machine (RFC 3834)."""

from __future__ import annotations

from email.message import Message

BULK_PRECEDENCES = frozenset({"bulk", "junk", "list"})
# Set by older responders and by Exchange, which predate or ignore Auto-Submitted.
MARKERS = ("X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress")


def is_auto_response(
    message: Message,
    reverse_path: str | None,
    bounce: bool = False,
) -> bool:
    """Whether `message` was sent by a machine: an auto-reply, a bounce or a mailing.

    `reverse_path` is the envelope sender; None or "" is the null one, which only notices have (RFC 5321,
    section 4.5.5). `bounce` is what Postal says about it. Headers: RFC 3834, RFC 2369 (List-*).
    """
    return (
        bounce
        or reverse_path in (None, "", "<>")
        or _is_auto_submitted(message)
        or any(_word(value) in BULK_PRECEDENCES for value in message.get_all("Precedence", []))
        or any(name.lower().startswith("list-") for name in message)
        or any(_word(value) not in ("no", "none") for name in MARKERS for value in message.get_all(name, []))
    )


def _is_auto_submitted(message: Message) -> bool:
    # Repeated by a relay or a hostile sender: any "not no" is enough to stay silent.
    return any(_word(value) not in ("", "no") for value in message.get_all("Auto-Submitted", []))


def _word(value: object) -> str:
    """The keyword of a header value, without parameters and comments, in lower case."""
    return str(value).split(";")[0].split("(")[0].strip().lower()
