"""What iCloud Mail answers."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

POSTMASTER = "https://support.apple.com/102322"

ROWS: tuple[Row, ...] = (
    Row(
        Class.BAD_ADDRESS,
        "user does not exist",
        operator="icloud.com",
        source=POSTMASTER,
        sample="550 5.1.1 <jane@icloud.com>: user does not exist",
    ),
    Row(
        Class.INACTIVE,
        "inactive email address",
        source=POSTMASTER,
        sample="550 5.1.1 <jane@me.com>: inactive email address",
    ),
    Row(
        Class.MAILBOX_FULL,
        "user is over ?quota",
        source=POSTMASTER,
        sample="552 5.2.2 <jane@icloud.com>: user is over quota",
    ),
    Row(
        Class.RATE,
        "deferred due to excessive volume",
        source=POSTMASTER,
        sample="421 4.7.1 Messages to jane@icloud.com deferred due to excessive volume. Try again later",
    ),
    Row(
        Class.REPUTATION,
        r"\[hm\d{2}\] message rejected",
        source=POSTMASTER,
        sample="550 5.7.1 [HM08] Message rejected due to local policy.",
    ),
    Row(
        Class.CONTENT,
        "message rejected due to local policy",
        source=POSTMASTER,
        sample=(
            "550 5.7.1 [CS01] Message rejected due to local policy. Please visit "
            "https://support.apple.com/en-us/HT204137"
        ),
    ),
    Row(
        Class.AUTHENTICATION,
        "message was rejected due to .{1,80}dmarc policy",
        source=POSTMASTER,
        sample=(
            "550 5.7.1 Your message was rejected due to example.org's DMARC policy. See "
            "https://support.apple.com/en-us/HT204137 for info"
        ),
    ),
    Row(
        Class.REPUTATION,
        "rejected due to having a domain present in",
        source=POSTMASTER,
        sample=(
            "550 5.7.1 Your email was rejected due to having a domain present in the Spamhaus DBL -- see "
            "https://www.spamhaus.org/dbl/"
        ),
    ),
    Row(
        Class.REPUTATION,
        r"\bblocked - see",
        operator="icloud.com",
        source=POSTMASTER,
        sample="554 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.7",
    ),
    Row(
        Class.INACTIVE,
        "relay not permitted for user",
        operator="icloud.com",
        source="observed 2025-01",
        sample="550 5.7.1 Relay not permitted for user",
    ),
    Row(
        Class.POLICY,
        "unauthorized sender",
        operator="appleid.com",
        source="observed 2025-01",
        sample="550 5.1.1 Unauthorized sender: the address is not registered for this private relay",
    ),
)
