"""Which mail may leave the machine (`delivery.mode`, `delivery.allowlist`). Pure.

Everything that sends mail asks this, by way of `services.shared.delivery_policy`.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable
from dataclasses import dataclass, field

from postal_server.mail.address import (
    domain_key,
    domain_to_ascii,
    envelope_address,
    split_address,
    suppression_key,
)


class DeliveryMode(str, enum.Enum):
    """The values of `delivery.mode`."""

    CATCH = "catch"
    ALLOWLIST = "allowlist"
    MX = "mx"
    RELAYS = "relays"


@dataclass(frozen=True)
class Allowlist:
    """Recipients whose mail may leave: `addresses`, and all at the `domains`, in their spelling as keys."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Allowlist:
        """From addresses and domains. Raises ValueError for an entry that is neither."""
        addresses, domains = set(), set()
        for entry in entries:
            try:
                if "@" in entry:
                    addresses.add(suppression_key(envelope_address(entry)))
                else:
                    domains.add(_domain(entry))
            except ValueError:
                raise ValueError(
                    f"{entry!r} is neither an address such as ann@example.com nor a domain such as "
                    "example.com"
                ) from None
        return cls(frozenset(addresses), frozenset(domains))

    def __contains__(self, recipient: str) -> bool:
        key = suppression_key(recipient)
        return key in self.addresses or split_address(key)[1] in self.domains

    def has_any_at(self, domain: str) -> bool:
        """Is the domain listed, or any address at it?"""
        return domain_key(domain) in self._all_domains

    @functools.cached_property
    def _all_domains(self) -> frozenset[str]:
        return self.domains | {split_address(address)[1] for address in self.addresses}


def _domain(text: str) -> str:
    """The key of a domain. Raises ValueError, also for an IP address, at which there are no mailboxes."""
    name = domain_to_ascii(text)
    if name.rpartition(".")[2].isdigit():
        raise ValueError(f"Not a domain: {text!r}")
    return name


@dataclass(frozen=True)
class DeliveryPolicy:
    """Whose mail is delivered, and whose is caught. The list counts in mode `allowlist` only."""

    mode: DeliveryMode
    allowlist: Allowlist = field(default_factory=Allowlist)

    @property
    def needs_catch(self) -> bool:
        """Is any mail caught?"""
        return self.mode in (DeliveryMode.CATCH, DeliveryMode.ALLOWLIST)

    @property
    def catches_all(self) -> bool:
        """Is all mail caught? Then nothing that is meant for mail hosts of others matters."""
        return self.mode is DeliveryMode.CATCH

    def catches(self, recipient: str) -> bool:
        """Is mail for this envelope recipient caught?"""
        if self.mode is DeliveryMode.ALLOWLIST:
            return recipient not in self.allowlist
        return self.catches_all

    def may_reach(self, domain: str) -> bool:
        """May any mail for this recipient domain leave?"""
        if self.mode is DeliveryMode.ALLOWLIST:
            return self.allowlist.has_any_at(domain)
        return not self.catches_all

    def __str__(self) -> str:
        return f"{SENTENCES[self.mode]} (delivery.mode: {self.mode.value})"


SENTENCES = {
    DeliveryMode.CATCH: "all mail is caught",
    DeliveryMode.ALLOWLIST: "mail for the recipients in delivery.allowlist is sent, all other is caught",
    DeliveryMode.MX: "mail is sent",
    DeliveryMode.RELAYS: "mail is sent through postal.smtp_relays",
}
