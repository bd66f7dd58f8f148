"""The addresses in the fields of a mail to send, as Anymail reads them."""

from __future__ import annotations

import re
from typing import Any

from anymail.exceptions import AnymailInvalidAddress
from anymail.utils import EmailAddress, parse_address_list, parse_single_address
from django.utils.functional import Promise

from . import header_values, mime

# Characters: the time of Python's address parser grows with the square of their number.
MAX_PARSER_INPUT = 1000
# An address without quotes (RFC 5322, section 3.2.3), perhaps after a display name without quotes.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDR_SPEC = rf"({_ATEXT}(?:\.{_ATEXT})*)@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)"
PLAIN_ADDRESS = re.compile(rf"{_ADDR_SPEC}|([\w'-]+(?: [\w'-]+)*) <{_ADDR_SPEC}>")


def read_addresses(values: Any, field: str) -> list[EmailAddress]:
    """The addresses in a field of the mail, as Anymail reads them.

    Plain addresses, which most are, are read without Anymail's parser, which takes half of a payload's time.
    Raises as `parse_addresses` does.
    """
    emails = []
    for value in [values] if isinstance(values, str) else values or ():
        plain = PLAIN_ADDRESS.fullmatch(value) if isinstance(value, str) else None
        if plain is None:
            return parse_addresses(values, field)
        username, domain, name, named_username, named_domain = plain.groups()
        emails.append(EmailAddress(name, username=username or named_username, domain=domain or named_domain))
    return emails


def parse_addresses(values: Any, field: str) -> list[EmailAddress]:
    """The addresses in a field by Anymail's parser.

    Raises `AnymailInvalidAddress`, and `PostalHeaderError` for a line break: some parsers read it as a space,
    others as the end.
    """
    texts = [str(values)] if isinstance(values, (str, Promise)) else list(map(str, values or ()))
    for text in texts:
        mime.check_line(field, text)
    if max(map(len, texts), default=0) > MAX_PARSER_INPUT:
        return [email for text in texts for email in parse_long_list(text, field)]
    return list(parse_address_list(values, field=field))


def parse_long_list(text: str, field: str) -> list[EmailAddress]:
    """The addresses in a text that is too long for Python's parser. Raises `AnymailInvalidAddress`."""
    try:
        found = header_values.parse_all_addresses(text)
    except ValueError:
        found = []
    if not found:
        raise AnymailInvalidAddress(f"Invalid email address in `{field}`: {text[:100]!r}...")
    return [EmailAddress(each.name, username=each.local_part, domain=each.domain) for each in found]


def read_address(value: Any, field: str) -> EmailAddress:
    """The one address in a field. Raises as `parse_addresses` does, and for any other number of addresses."""
    found = parse_addresses([value], field)
    return found[0] if len(found) == 1 else parse_single_address(str(value)[:MAX_PARSER_INPUT], field=field)
