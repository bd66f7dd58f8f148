"""What remotes say, as rows of data: a module for each group of operators, and others for what anybody says.

Of two rows that match, the first counts; a mail host's own rows come before those of any operator. Among the
latter refusals precede what is said about recipients: `blocked for spam: user unknown` blames no address.
"""

from __future__ import annotations

from . import (
    american_isps,
    apple,
    asian,
    filters,
    french,
    german,
    google,
    hosted,
    italian,
    languages,
    microsoft,
    policy,
    recipients,
    refusals,
    russian,
    software,
    troubles,
    yahoo,
)
from .rule import ReplyRule

__all__ = ["GENERAL", "OF_OPERATORS", "ReplyRule"]

_ROWS: tuple[ReplyRule, ...] = (
    *google.ROWS,
    *yahoo.ROWS,
    *microsoft.ROWS,
    *apple.ROWS,
    *american_isps.ROWS,
    *german.ROWS,
    *french.ROWS,
    *italian.ROWS,
    *russian.ROWS,
    *asian.ROWS,
    *hosted.ROWS,
    *languages.ROWS,
    *filters.ROWS,
    *refusals.ROWS,
    *software.ROWS,
    *recipients.ROWS,
    *policy.ROWS,
    *troubles.ROWS,
)
# Words that only one operator uses hold for all: gateways and reports pass them on under other names.
GENERAL: tuple[ReplyRule, ...] = tuple(row for row in _ROWS if not row.operator)
OF_OPERATORS: tuple[ReplyRule, ...] = tuple(row for row in _ROWS if row.operator)
