"""Which outcomes say that a recipient is not worth trying again.

A remote that refuses us (reputation, rate, policy) or is broken says nothing about the person, so such
replies never suppress. Source: contract 7.3, RFC 3463 sections 3.2 to 3.8.
"""

from __future__ import annotations

import re
from datetime import timedelta

from .enhanced_code import enhanced_code

HARD_FAILS = "too many hard fails"
SOFT_FAILS = "too many soft fails"
BOUNCED = "hard bounce"
ADDED = f"Recipient added to suppression list ({HARD_FAILS})"
REMOVED = "Recipient removed from suppression list"
EVIDENCE_LASTS = timedelta(hours=24)

# RFC 3463: 5.1.x is the address, 5.2.x the mailbox; 5.1.7 and 5.1.8 are about the sender's address.
PERSONAL_SUBJECTS = {"0", "1", "2"}
ABOUT_THE_SENDER = {("1", "7"), ("1", "8"), ("1", "9")}
# Words of receivers that refuse the sending host or the content, often without an enhanced code.
IMPERSONAL = re.compile(
    r"spam|block(?:ed|ing|list)|black ?list|reputation|policy|rate.?limit|too many|throttl|deferred due to|"
    r"unsolicited|spamhaus|barracuda|TSS\d\d|S3150|RP-00\d|authenticat|SPF|DKIM|DMARC|relay",
    re.ASCII | re.IGNORECASE,
)
# Errors of hosts are joined by commas. A reply among them was to our greeting, not to a recipient.
BEFORE_MAIL = re.compile(r"(?:\A|, )([245]\d\d)[ -]", re.ASCII)
# TLS that does not meet the domain's own policy, or a host out of step: the path is broken, not the address.
BROKEN = re.compile(r"(?:\A|, )(?:DANE: |MTA-STS: |unexpected answer )")


def blames_recipient(code: int | None, output: str) -> bool:
    """Is this SMTP reply about the recipient, rather than about us, the mail or the receiver's state?

    No reply at all (no host could be reached) is about the address's domain, so it counts. `code` is None
    where every host refused the session: their replies are in the text.
    """
    if code is None:
        codes = BEFORE_MAIL.findall(output)
        if BROKEN.search(output):
            return False
        if not codes:
            return True
        code = 421 if "421" in codes else int(codes[0])
    if code == 421:
        return False
    enhanced = enhanced_code(output)
    if enhanced is None or enhanced[1] == "0":
        return not IMPERSONAL.search(output)
    return enhanced[1] in PERSONAL_SUBJECTS and enhanced[1:] not in ABOUT_THE_SENDER
