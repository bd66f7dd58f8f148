"""What several models share: choices from enums, and Postal's random identifiers (contract, appendix B)."""

from __future__ import annotations

import enum
import secrets
import string

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
LOWER_AND_DIGITS = string.ascii_lowercase + string.digits


def choices(members: type[enum.Enum]) -> list[tuple[str, str]]:
    """The (value, label) pairs of an enum whose values are Postal's words."""
    return [(member.value, member.value) for member in members]


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
