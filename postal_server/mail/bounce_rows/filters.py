"""How filters and gateways in front of mail servers write."""

from __future__ import annotations

from .row import ADDRESS, ALONE, LINE, PARAGRAPH, Row

FILTERS = (
    Row(
        "amavis",
        starts=(
            "message was not relayed to",
            "was not delivered to the following recipients:",
            "not delivered to:",
        ),
        recipient=rf"^[ \t]{{1,9}}(?P<to>{ADDRESS}):?",
    ),
    Row(
        "amavis",
        starts=("amavis", "our content checker found", "our internal reference code for your message is"),
        recipient=rf"^[ \t]{{0,9}}(?:->|to:)[ \t]{{0,9}}(?P<to>{ADDRESS})",
    ),
    Row(
        "ironport",
        starts=("was undeliverable. the reason for the problem",),
        recipient=rf"message\s{{1,3}}to\s{{1,3}}(?P<to>{ADDRESS})\s{{1,3}}was\s{{1,3}}undeliverable",
        reason=rf"reason\s{{1,3}}for\s{{1,3}}the\s{{1,3}}problem:\s{{1,9}}{PARAGRAPH}",
    ),
    Row(
        "mailmarshal",
        starts=("could not be delivered because of", "the following recipients were affected"),
        recipient=ALONE,
        reason=rf"because of:?\s{{1,9}}{PARAGRAPH}",
    ),
    Row(
        "mailfoundry",
        starts=("unable to deliver message to:",),
        recipient=rf"deliver message to: ?(?P<to>{ADDRESS})",
        reason=rf"following reason:\s{{1,9}}{PARAGRAPH}",
    ),
    Row(
        "surfcontrol",
        starts=("failed to send to identified host",),
        recipient=rf"^[ \t]{{0,9}}(?P<to>{ADDRESS}):[ \t]*{LINE}",
    ),
    Row(
        "interscan",
        starts=("sent >>> rcpt to", "sent <<< rcpt to", "received <<<", "unable to deliver message to"),
        recipient=rf"(?:RCPT TO: ?|deliver message to:?\s{{1,3}})(?P<to>{ADDRESS})",
        reason=rf"Received (?:<<<|>>>) ?{LINE}",
    ),
    Row(
        "m-filter",
        starts=("-server message",),
        ends=("original message",),
        recipient=rf"(?:RCPT TO: ?|<)(?P<to>{ADDRESS})",
        reason=rf"-server message[ \t]*\n{PARAGRAPH}",
    ),
    Row(
        "mimecast",
        starts=("details of the email and the error are as follows", "mimecast"),
        sender="mimecast|postmaster|administrator",
        recipient=rf"(?:^[ \t]*(?:To|Recipients?|Sent to)[ \t]*:?[ \t]*\n?[ \t]*|to\s{{1,3}})"
        rf"(?P<to>{ADDRESS})",
        reason=rf"(?:Reason|Error|Response|Error details|Failure reason)[ \t]*:[ \t\n]*{PARAGRAPH}",
    ),
    Row(
        "proofpoint",
        starts=("proofpoint",),
        sender="mailer-daemon|postmaster|proofpoint|pps",
        recipient=rf"(?:^[ \t]*(?:To|Recipients?)[ \t]*:?[ \t]*|\bto\s{{1,3}}|^[ \t]*)(?P<to>{ADDRESS})",
    ),
    Row(
        "barracuda",
        starts=("was blocked by our spam firewall", "blocked by our bulk email filter"),
        recipient=rf"message\s{{1,3}}to:?\s{{1,3}}(?P<to>{ADDRESS})",
    ),
)
# Behind the others: sentences that several write.
COMMON = (
    Row(
        "your-message-to",
        starts=("your message to",),
        recipient=rf"Your\s{{1,3}}message\s{{1,3}}to\s{{1,3}}(?P<to>{ADDRESS})\s{{1,3}}"
        r"(?:couldn['’]t|could not|can['’]t|cannot|wasn['’]t|was not)\s{1,3}(?:be\s{1,3})?delivered",
        reason=rf"(?:Remote Server returned|Error Details|Reported error:|Error:)[ \t'\n]*{PARAGRAPH}",
    ),
)
