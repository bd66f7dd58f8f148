"""Addresses in parameters of SMTP commands: xtext (RFC 3461 section 4), and its Unicode form (RFC 6533)."""

from __future__ import annotations

import re

_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")
_NOT_UNICODE_XTEXT = re.compile(r"[^!-*,-<>-\[\]-~]")


def typed_address(address: str) -> str:
    """The address with its type, as ORCPT wants it: `rfc822;a+2Bb@c.example`, or `utf-8;` if it is not ASCII.

    Always ASCII itself. The second form is the `utf-8-addr-xtext` of RFC 6533 section 3.
    """
    if address.isascii():
        return "rfc822;" + _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", address)
    return "utf-8;" + _NOT_UNICODE_XTEXT.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)
