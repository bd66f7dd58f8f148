"""What mail hosts of any operator say. The first row that matches counts."""

from __future__ import annotations

from postal_server.rules.failure_class import FailureClass as Class

from .rule import ReplyRule as Row

POSTFIX = "https://www.postfix.org/postconf.5.html"

ROWS: tuple[Row, ...] = (
    Row(
        Class.REPUTATION,
        r"blocked using",
        source=POSTFIX,
        sample="554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.blocklist.example",
    ),
    Row(
        Class.BAD_ADDRESS,
        r"user unknown|unknown user",
        source=POSTFIX,
        sample="550 5.1.1 <a@d.example>: Recipient address rejected: User unknown in local recipient table",
    ),
)
