"""The addresses in the fields of a mail to send, as Anymail reads them."""

from __future__ import annotations

import re
from typing import Any

from anymail.exceptions import AnymailInvalidAddress
from anymail.utils import EmailAddress, parse_address_list, parse_single_address
from django.utils.functional import Promise

from . import header_values, mime

MAX_FOR_PYTHON = 1000  # characters: the time that its parser of addresses takes grows with their square
# An address of nothing but letters, digits and the signs that need no quotes, perhaps with such a name.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDR_SPEC = rf"({_ATEXT}(?:\.{_ATEXT})*)@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)"
PLAIN_ADDRESS = re.compile(rf"{_ADDR_SPEC}|([\w'-]+(?: [\w'-]+)*) <{_ADDR_SPEC}>")


def read_addresses(values: Any, field: str) -> list[EmailAddress]:
    """The addresses in a field of the mail, as Anymail reads them.

    Most are plain, and those need no parser, which would take half of the time that reading a mail takes.
    """
    emails = []
    for value in [values] if isinstance(values, str) else values or ():
        plain = PLAIN_ADDRESS.fullmatch(value) if isinstance(value, str) else None
        if plain is None:
            return parsed_addresses(values, field)
        username, domain, name, named_username, named_domain = plain.groups()
        emails.append(EmailAddress(name, username=username or named_username, domain=domain or named_domain))
    return emails


def parsed_addresses(values: Any, field: str) -> list[EmailAddress]:
    """The addresses in a field by Anymail's parser.

    Raises `PostalHeaderError` for a line break, which parsers may take for a blank, or for the end.
    """
    texts = [str(values)] if isinstance(values, (str, Promise)) else list(map(str, values or ()))
    for text in texts:
        mime.check_line(field, text)
    if max(map(len, texts), default=0) > MAX_FOR_PYTHON:
        return [email for text in texts for email in long_list(text, field)]
    return list(parse_address_list(values, field=field))


def long_list(text: str, field: str) -> list[EmailAddress]:
    """The addresses in a text that Python's parser would take too long for."""
    try:
        found = header_values.parse_all_addresses(text)
    except ValueError:
        found = []
    if not found:
        raise AnymailInvalidAddress(f"Invalid email address in `{field}`: {text[:100]!r}...")
    return [EmailAddress(each.name, username=each.local_part, domain=each.domain) for each in found]


def read_address(value: Any, field: str) -> EmailAddress:
    """The one address in a field of the mail."""
    found = parsed_addresses([value], field)
    return found[0] if len(found) == 1 else parse_single_address(str(value)[:MAX_FOR_PYTHON], field=field)
