"""Helpers of several models: choices from enums, and Postal's random identifiers (contract, appendix B)."""

from __future__ import annotations

import enum
import secrets
import string
from typing import TYPE_CHECKING, Any

from django.core.validators import RegexValidator
from django.db import models

from postal_server.mail.charset import storable
from postal_server.rules.request_destination import REQUEST_URL

# Of webhooks and HTTP endpoints. Django formats the sentence.
POSTED_TO = RegexValidator(REQUEST_URL, "http:// or https://, letters, digits and - . _ ? = & / + : %% @.")
LETTERS_AND_DIGITS = string.ascii_letters + string.digits
LOWER_AND_DIGITS = string.ascii_lowercase + string.digits


def choices(members: type[enum.Enum]) -> list[tuple[str, str]]:
    """The (value, label) pairs of an enum whose values are Postal's words."""
    return [(member.value, member.value) for member in members]


class _OfPeers:
    """A column for text from outside: characters that a database does not accept are dropped or replaced."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)  # type: ignore[misc]
        return storable(value) if isinstance(value, str) else value

    def deconstruct(self) -> Any:
        """As Django's own field, so that migrations need not know this class."""
        name, path, args, kwargs = super().deconstruct()  # type: ignore[misc]
        return name, f"django.db.models.{path.rpartition('.Peer')[2]}", args, kwargs


if TYPE_CHECKING:
    PeerTextField, PeerCharField = models.TextField, models.CharField
else:

    class PeerTextField(_OfPeers, models.TextField):
        """Text of any length from a peer."""

    class PeerCharField(_OfPeers, models.CharField):
        """Text of bounded length from a peer."""


def _token(length: int, inner: str, ends: str) -> str:
    middle = "".join(secrets.choice(inner) for _ in range(length - 2))
    return secrets.choice(ends) + middle + secrets.choice(ends)


def random_letters_token() -> str:
    """A server token: six lower-case characters, first and last a letter."""
    return _token(6, LOWER_AND_DIGITS, string.ascii_lowercase)


def random_route_token() -> str:
    """A route token: eight characters, first and last a letter."""
    return _token(8, LETTERS_AND_DIGITS, string.ascii_letters)


def random_dkim_suffix() -> str:
    """What follows the hyphen in a DKIM selector: six characters, first and last a letter."""
    return _token(6, LETTERS_AND_DIGITS, string.ascii_letters)


def random_verification_token() -> str:
    """The 32 characters of a domain's ownership record."""
    return "".join(secrets.choice(LETTERS_AND_DIGITS) for _ in range(32))
