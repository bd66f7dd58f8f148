"""The recipient of outgoing mail: the address to store, and the lane that it waits in."""

from __future__ import annotations

import re

from postal_server.errors import InvalidRecipient
from postal_server.mail.address import domain_key, envelope_address, split_address
from postal_server.rules.lane import LOCAL, Lane, lane_of_domain

MAX_ADDRESS_BYTES = 256  # RFC 5321 section 4.5.3.1.3
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def envelope_recipient(address: str) -> tuple[str | None, Lane]:
    """The address to store and its lane: its domain, as DNS knows it.

    What is no address is accepted into the lane `LOCAL`, as a forwarder's may be none, and fails later; what
    cannot stand in a command or a column raises `InvalidRecipient`.
    """
    if _CONTROL.search(address) or len(address.encode("utf-8", "replace")) > MAX_ADDRESS_BYTES:
        raise InvalidRecipient(f"No mail server can take this recipient: {address[:80]!r}")
    try:
        rcpt_to = envelope_address(address)
    except ValueError:
        return address or None, LOCAL
    return rcpt_to, lane_of_domain(domain_key(split_address(rcpt_to)[1]))
