"""A part of the queue: the mail of a server, for a destination, with a tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postal_server.mail.address import domain_to_ascii


@dataclass(frozen=True)
class Selection:
    """The messages that match every field that is set; None or an empty string matches all.

    `destination` is a lane's name: a recipient domain, `http:<id>`, `smtp:<id>`, `address:<id>` or `local`.
    """

    server_id: int | None = None
    destination: str = ""
    tag: str = ""

    def takes(self, server_id: int, destination: str, tag: str | None) -> bool:
        """Does this message belong to the part?"""
        return (
            self.server_id in (None, server_id)
            and self.destination in ("", destination)
            and self.tag in ("", tag)
        )


def takes_any(selections: Sequence[Selection], server_id: int, destination: str, tag: str | None) -> bool:
    """Does this message belong to any of the parts?"""
    return any(selection.takes(server_id, destination, tag) for selection in selections)


def destination_name(text: str) -> str:
    """The name of the lane for a destination as people write it (`Müller.example`, `http:3`)."""
    name = text.strip().lower()
    try:
        return domain_to_ascii(name)
    except ValueError:
        return name
