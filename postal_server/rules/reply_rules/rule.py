"""The row: what a text means where its code does not say it, or says something else."""

from __future__ import annotations

from dataclasses import dataclass

from postal_server.rules.failure_class import FailureClass


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """Texts that match `pattern` are of this class.

    `pattern` is a regular expression, searched in the cleaned text (`classification.reply_text`): lower case,
    one blank between words, the codes once at its start (`550 5.1.1 user unknown`), `<address>` for addresses
    and Message-IDs, `<url>` for URLs. It has no nested quantifiers, and each of its alternatives at the top
    has four or more plain characters in a row outside of groups, by which it is found. The case of its
    letters does not matter.

    `operator` is the registered domain of the mail hosts that answer so (`google.com`), empty for any.
    `is_sure`: the words alone are proof. `source` is the URL of a documentation, the month of an
    answer (`observed 2024-02`), or `usual wording` where neither is at hand.
    """

    failure_class: FailureClass
    pattern: str
    operator: str = ""
    is_sure: bool = True
    source: str = ""
    sample: str = ""
