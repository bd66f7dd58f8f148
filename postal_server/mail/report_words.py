"""What the words of a report add to its fields: why, and at which command."""

from __future__ import annotations

import re

from .delivery_status import MAX_DIAGNOSTIC, Part
from .phrases import has_any, phrases

NEAR = 1500  # characters below a recipient that may be about it

_STAGE = re.compile(
    r"(?:in (?:reply|response|answer) to|after|during|>>>) (?:the |sending |pipelined ){0,2}"
    r"(?:(initial connection|ehlo|helo|lhlo|starttls|auth)|(mail)|(rcpt)|(data)|(end of data))\b"
)
_SENTENCES = (
    ("greeting failed", "connect"),
    ("my name was rejected", "connect"),
    ("refused to talk to me", "connect"),
    ("but sender was rejected", "mail"),
    ("does not like recipient", "rcpt"),
    ("failed on data command", "data"),
    ("failed after i sent the message", "dot"),
)
# Notices of success. Exchange puts the first word of each before the subject of the mail.
_SUCCESS_SUBJECTS = phrases(
    """
    successful mail delivery report / return receipt / notification (success) / delivery receipt
    mail was delivered / message was delivered / successfully delivered / delivery confirmation
    zustellbestatigung / erfolgreich zugestellt / accuse de remise / confirmation de remise
    confirmacion de entrega / conferma di consegna / leveringsbevestiging
    """
)
_FIRST_WORDS = {
    "delivered": (
        "delivered:",
        "zugestellt:",
        "remis :",
        "entregado:",
        "recapitato:",
        "bezorgd:",
        "entregue:",
        "配信済み:",
    ),
    "relayed": (
        "relayed:",
        "weitergeleitet:",
        "relaye :",
        "retransmitido:",
        "inoltrato:",
        "doorgestuurd:",
        "中継:",
    ),
    "expanded": ("expanded:", "erweitert:", "developpe :", "expandido:", "espanso:", "uitgebreid:", "展開:"),
}
_SUCCESS_TEXTS = phrases(
    """
    was successfully delivered to / has been successfully delivered / had successful delivery notifications
    your message was delivered to the following / your message has been delivered to the following
    """
)
# With one of these a subject that speaks of success is that of the mail itself, which is quoted.
_FAILURES = phrases(
    """
    permanent fatal errors / not be delivered / n't be delivered / not delivered / n't delivered
    not been delivered / undeliver / failed / failure / rejected / unzustellbar / nicht zugestellt
    non remis / no se pudo / no se ha podido
    """
)
_STAGES = ("connect", "mail", "rcpt", "data", "dot")


def find_stage(text: str) -> str:
    """Which command was answered: as in Postfix's `(in reply to RCPT TO command)`, or `"report"`."""
    text = text.lower()
    match = _STAGE.search(text)
    if match is None:
        return next((stage for sentence, stage in _SENTENCES if sentence in text), "report")
    return next(stage for stage, found in zip(_STAGES, match.groups(), strict=True) if found)


def find_success(about: str, explanation: str) -> str:
    """`"delivered"`, `"relayed"` or `"expanded"` if subject and words speak of success alone, else `""`.

    Both are plain text.
    """
    for action, beginnings in _FIRST_WORDS.items():
        if about.startswith(beginnings):
            return action
    is_success = has_any(about, _SUCCESS_SUBJECTS) or has_any(explanation, _SUCCESS_TEXTS)
    return "delivered" if is_success and not has_any(f"{about} {explanation}", _FAILURES) else ""


def words_about(part: Part, explanation: str, *, is_only: bool) -> str:
    """What an explanation says about a recipient: what follows it, or all if there is no other."""
    for address in (part.final_recipient, part.original_recipient):
        if address and (start := explanation.find(address)) >= 0:
            following = explanation[start + len(address) : start + len(address) + NEAR]
            return following if is_only else following.partition("\n\n")[0]
    return explanation[:NEAR] if is_only else ""


def squeeze(text: str) -> str:
    """`text` on one line, up to 2000 characters."""
    return " ".join(text[: 2 * MAX_DIAGNOSTIC].split())[:MAX_DIAGNOSTIC]
