"""Enums as keys of the tables of states, which are looked up for every request or command."""

from __future__ import annotations

import enum


class TableKey(enum.Enum):
    """Members that hash as objects do: Enum's own hash is slow Python."""

    __hash__ = object.__hash__
