"""What remotes say, as rows of data: a module for each group of operators, and `general` for all others.

Of two rows that match, the first counts; a mail host's own rows come before the general ones.
"""

from __future__ import annotations

from . import general
from .rule import ReplyRule

__all__ = ["GENERAL", "OF_OPERATORS", "ReplyRule"]

GENERAL: tuple[ReplyRule, ...] = general.ROWS
OF_OPERATORS: tuple[ReplyRule, ...] = ()
