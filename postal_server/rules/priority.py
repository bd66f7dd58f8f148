"""Which mail goes first when a mail server has more than can be sent at once.

The header of the message decides, so that the rule holds for the API and SMTP alike: newsletters carry these
fields anyway, and no field of our own is needed.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

FIELDS = ("precedence", "list-unsubscribe")  # that decide
BULK_PRECEDENCE = {"bulk", "list", "junk"}  # RFC 2076 section 3.9


class Priority(enum.IntEnum):
    """Lower values go first. They are those of the queue's column."""

    TRANSACTIONAL = 0
    BULK = 1


def of_header(head: Mapping[str, Sequence[str]]) -> Priority:
    """The priority that a message asks for; `head` maps lower-case field names to their values.

    `Precedence` decides where it is present: bulk, list and junk are bulk, all else (`first-class`) is not.
    Without it, mail that offers a way to unsubscribe (RFC 2369) is bulk.
    """
    precedence = [value.strip().lower() for value in head.get("precedence", ()) if value.strip()]
    if precedence:
        return Priority.BULK if precedence[-1] in BULK_PRECEDENCE else Priority.TRANSACTIONAL
    return Priority.BULK if head.get("list-unsubscribe") else Priority.TRANSACTIONAL
