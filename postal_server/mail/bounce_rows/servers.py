"""How mail servers write, by program."""

from __future__ import annotations

from .row import ADDRESS, Row

SERVERS = (
    Row(
        "exim",
        starts=(
            "the following address(es) failed",
            "the following addresses failed",
            "the following address failed",
            "could not be delivered to one or more of its recipients",
            "could not be delivered to all of its recipients",
        ),
        recipient=rf"^ {{2,4}}(?P<to>{ADDRESS})[ \t]{{0,20}}$",
    ),
    Row(
        "qmail",
        starts=("hi. this is the",),
        recipient=rf"^(?P<to>{ADDRESS}):[ \t]{{0,9}}$",
    ),
)
