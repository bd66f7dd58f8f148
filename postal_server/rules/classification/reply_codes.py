"""What enhanced codes mean where no words say more. Source: RFC 3463, 5248, 7293, 7372, 7505 and 8616,
and the codes of Exchange Online (learn.microsoft.com, "Email nondelivery reports").
"""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

# (subject, detail) -> class, and whether the code alone is proof.
_OF_DETAIL: dict[tuple[str, str], tuple[Class, bool]] = {
    ("1", "1"): (Class.BAD_ADDRESS, True),
    ("1", "2"): (Class.BAD_DOMAIN, True),
    ("1", "3"): (Class.BAD_ADDRESS, True),
    ("1", "4"): (Class.BAD_ADDRESS, False),  # ambiguous
    ("1", "6"): (Class.BAD_ADDRESS, True),  # moved
    ("1", "7"): (Class.INFRASTRUCTURE, True),  # of the sender, as the next two
    ("1", "8"): (Class.INFRASTRUCTURE, True),
    ("1", "9"): (Class.INFRASTRUCTURE, True),
    ("1", "10"): (Class.BAD_ADDRESS, True),  # Exchange; the null MX of RFC 7505 has words
    ("2", "1"): (Class.INACTIVE, True),
    ("2", "2"): (Class.MAILBOX_FULL, True),
    ("2", "3"): (Class.TOO_LARGE, True),
    ("2", "4"): (Class.POLICY, True),  # a list that cannot be expanded
    ("3", "4"): (Class.TOO_LARGE, True),
    ("4", "1"): (Class.EXPIRED, True),
    ("4", "2"): (Class.EXPIRED, True),
    ("4", "4"): (Class.BAD_DOMAIN, False),  # no way to route: the domain, or a mail host's table
    ("4", "5"): (Class.RATE, True),
    ("4", "6"): (Class.INFRASTRUCTURE, True),
    ("4", "7"): (Class.EXPIRED, True),
    ("5", "3"): (Class.RATE, True),  # too many recipients
    ("7", "5"): (Class.AUTHENTICATION, True),
    ("7", "7"): (Class.AUTHENTICATION, True),
    ("7", "8"): (Class.INFRASTRUCTURE, True),
    ("7", "9"): (Class.INFRASTRUCTURE, True),
    ("7", "10"): (Class.INFRASTRUCTURE, True),  # encryption needed
    ("7", "11"): (Class.INFRASTRUCTURE, True),
    ("7", "13"): (Class.INACTIVE, True),
    ("7", "16"): (Class.TOO_LARGE, True),
    ("7", "17"): (Class.BAD_ADDRESS, True),  # the mailbox has another owner
    ("7", "18"): (Class.BAD_DOMAIN, True),
    ("7", "25"): (Class.INFRASTRUCTURE, True),  # PTR
    ("7", "28"): (Class.RATE, True),
    # Exchange Online
    ("4", "300"): (Class.EXPIRED, True),
    ("4", "310"): (Class.BAD_DOMAIN, True),
    ("4", "316"): (Class.EXPIRED, True),
    ("7", "57"): (Class.INFRASTRUCTURE, True),
    ("7", "64"): (Class.INFRASTRUCTURE, True),
    ("7", "501"): (Class.REPUTATION, True),
    ("7", "502"): (Class.REPUTATION, True),
    ("7", "503"): (Class.REPUTATION, True),
    ("7", "508"): (Class.RATE, True),
    ("7", "509"): (Class.AUTHENTICATION, True),
    ("7", "511"): (Class.REPUTATION, True),
    ("7", "512"): (Class.CONTENT, True),
    ("7", "515"): (Class.AUTHENTICATION, True),
    ("7", "650"): (Class.REPUTATION, True),
    ("7", "651"): (Class.REPUTATION, True),
    **{("7", str(detail)): (Class.AUTHENTICATION, True) for detail in (*range(20, 25), 26, 27, 29, 30)},
    **{("7", str(detail)): (Class.REPUTATION, True) for detail in range(606, 650)},
    **{("7", str(detail)): (Class.INFRASTRUCTURE, True) for detail in range(700, 751)},
}
# 4.7.500 to 4.7.699 without a row of its own: "access denied, please try again later".
_BUSY_DETAILS = range(500, 700)
_OF_SUBJECT: dict[str, Class] = {
    "3": Class.INFRASTRUCTURE,
    "4": Class.INFRASTRUCTURE,
    "5": Class.INFRASTRUCTURE,
    "6": Class.CONTENT,
    "7": Class.POLICY,
}


def of_enhanced(enhanced: tuple[str, str, str]) -> tuple[Class, bool] | None:
    """The class of an enhanced code, and whether it is sure; None where the code says nothing."""
    digit, subject, detail = enhanced
    if enhanced == ("4", "3", "2"):
        return Class.RATE, True
    if (subject, detail) in _OF_DETAIL:
        return _OF_DETAIL[subject, detail]
    if digit == "4" and subject == "7" and int(detail) in _BUSY_DETAILS:
        return Class.RATE, True
    return (_OF_SUBJECT[subject], False) if subject in _OF_SUBJECT else None
