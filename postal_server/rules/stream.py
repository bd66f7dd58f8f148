"""Streams: mail of one purpose inside a mail server, such as receipts or a newsletter."""

from __future__ import annotations

import re
from enum import Enum

from .priority import Priority

NAME_CHARACTERS = 64
NAMES = f"1 to {NAME_CHARACTERS} of the characters a-z, 0-9, `.`, `_` and `-`"
MOST_OF_SERVER = 200  # rows: what is beyond that counts by its name alone

_NAME = re.compile(rf"[a-z0-9._-]{{1,{NAME_CHARACTERS}}}\Z")
_OTHERS = re.compile(r"[^a-z0-9._-]+")


class StreamFrom(str, Enum):
    """What names the stream of mail that does not name one itself."""

    NONE = "none"
    TAG = "tag"
    DOMAIN = "domain"  # of the From address
    CREDENTIAL = "credential"


class StreamKind(str, Enum):
    """Transactional mail is stopped by what is wrong with an address, and by entries of its own stream."""

    TRANSACTIONAL = "transactional"
    BULK = "bulk"


def is_name(text: str) -> bool:
    return _NAME.match(text) is not None


def name_of(text: str) -> str:
    """The name of a stream after a tag or the name of a credential; empty where nothing is left of it."""
    return _OTHERS.sub("-", text.lower()).strip("-")[:NAME_CHARACTERS]


def kind_of(priority: int) -> StreamKind:
    """The kind of a stream whose first mail has this `rules.priority.Priority`."""
    return StreamKind.BULK if priority == Priority.BULK else StreamKind.TRANSACTIONAL
