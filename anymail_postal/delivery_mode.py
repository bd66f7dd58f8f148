"""What a server does with mail. Ours says so; a Postal does not, and sends all of it."""

from __future__ import annotations

import re

import requests

from .fetching import fetch

READY_PATH = "/ready"
MODE = re.compile(rb"OK\ndelivery\.mode: ([a-z]{1,32})\s*\Z")
KEPT = {
    "catch": "catches all mail: none reaches its recipients",
    "allowlist": "sends mail only to the recipients of its allowlist, and catches all other mail",
}


def fetch_mode(api_url: str) -> str | None:
    """The server's `delivery.mode`; None if it does not say, as a Postal, or cannot be reached."""
    try:
        found = MODE.match(fetch(api_url + READY_PATH))
    except (requests.RequestException, ValueError):
        return None
    return found[1].decode("ascii") if found else None


def what_is_kept(mode: str | None) -> str | None:
    """What a server with this mode does that a project in production does not want; None if nothing."""
    return KEPT.get(mode) if mode else None
