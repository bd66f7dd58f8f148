"""The tables of tracking events in `docs/receiving.md`: `python -m tests.event_table` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from anymail_postal import classification, events  # noqa: E402
from anymail_postal.events import Options, TrackingEvent  # noqa: E402
from anymail_postal.testing import webhook_body  # noqa: E402

from .readme import ROOT  # noqa: E402

PAGE = ROOT / "docs" / "receiving.md"
HEADERS = {
    kind: f"| {kind} | which | `event_type` | `reject_reason` | `description` | `mta_response` |"
    for kind in ("Postal's event", "our event")
}
RULE = "| --- | --- | --- | --- | --- | --- |"
REFUSED = "Permanent SMTP delivery error when sending to 192.0.2.1:25 (mx.example.com)"
REPORT = {"kind": "bounce", "evidence": "strong", "reporting_mta": "mx.example.com"}
SUPPRESSED = "Recipient (ann@example.com) is on the suppression list (reason: {})"


@dataclass(frozen=True)
class Case:
    """A row: a webhook, and what tells it from others of its name."""

    event: str
    which: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    options: Options = field(default_factory=Options)

    @property
    def kind(self) -> str:
        """Whether Postal sends such an event, or our server only."""
        is_ours = self.event in events.BEYOND_POSTAL or "classification" in self.values
        return "our event" if is_ours else "Postal's event"

    @property
    def read(self) -> TrackingEvent:
        return events.read(webhook_body(self.event, **self.values), options=self.options)


def why(name: str) -> dict[str, Any]:
    """A classification as our server sends it."""
    return {"class": name, "enhanced_status": "5.1.1", "diagnostic": "550 5.1.1 the whole answer"}


def failure(which: str, output: str, **values: Any) -> Case:
    """An answer that Postal passes on."""
    return Case("MessageDeliveryFailed", which, {"details": REFUSED, "output": output, **values})


def cases() -> Iterator[Case]:
    """All rows, those of Postal first."""
    yield Case("MessageSent")
    yield Case("MessageDelayed")
    yield failure("refused: no such user, no such domain", "550 5.1.1 No such user")
    yield failure("refused: mailbox full or disabled", "552 5.2.2 Mailbox full")
    yield failure("refused: blocklists, PTR, sender's domain, DMARC, policy", "554 blocked using Spamhaus")
    yield failure("refused: spam, virus", "554 5.7.1 Message is spam")
    yield failure("refused: too many connections or messages", "554 Too many messages")
    yield failure("refused: message too large", "552 5.3.4 Message too large")
    yield failure("refused: other words", "554 as asked")
    about_us = Options(blocked_as_failed=True)
    yield Case(
        "MessageDeliveryFailed",
        "refused because of us, `POSTAL_BLOCKED_AS_FAILED`",
        {"details": REFUSED, "output": "554 blocked using Spamhaus"},
        about_us,
    )
    used_up = "Maximum number of delivery attempts (18) has been reached."
    yield Case("MessageDeliveryFailed", "after the last attempt", {"details": used_up, "output": ""})
    spam = "Message is likely spam. Threshold is 5.0 and the message scored 9.1."
    yield Case("MessageDeliveryFailed", "likely spam", {"details": spam, "output": ""})
    no_domain = "Message's domain no longer exist"
    yield Case("MessageDeliveryFailed", "no host was asked", {"details": no_domain, "output": ""})
    yield Case("MessageHeld", "", {"details": "Server is in development mode."})
    hard_fails = {"details": SUPPRESSED.format("too many hard fails")}
    yield Case("MessageHeld", "recipient suppressed", hard_fails)
    rejected = Options(held_suppressed_as_rejected=True)
    setting = "recipient suppressed, `POSTAL_HELD_SUPPRESSED_AS_REJECTED = True`"
    yield Case("MessageHeld", setting, hard_fails, rejected)
    for name in ("MessageBounced", "MessageLoaded", "MessageLinkClicked", "DomainDNSError"):
        yield Case(name)
    yield Case("SendLimitApproaching")
    yield Case("SendLimitExceeded")
    for name, (about, _) in classification.CLASSES.items():
        if about is not None:
            yield failure(f"class `{name}`", "550 5.1.1 No", classification=why(name))
    yield Case(
        "MessageDeliveryFailed",
        "about us, `POSTAL_BLOCKED_AS_FAILED`",
        {"classification": why("reputation")},
        about_us,
    )
    for name, how in (
        ("MessageDeliveryFailed", "failed"),
        ("MessageHeld", "held"),
    ):
        for reason in ("bad_address", "expired", "complaint", "unsubscribe", "manual"):
            entry = {"class": "suppressed", "sure": True, "suppressed": {"reason": reason}}
            values = {"classification": entry, "details": SUPPRESSED.format("..."), "output": ""}
            yield Case(name, f"{how}, as the recipient is suppressed: `{reason}`", values)
    yield Case(
        "MessageBounced",
        "any class, reject reason as above",
        {"classification": why("bad_address"), "report": REPORT},
    )
    yield Case("MessageHoldCancelled")
    yield Case("MessageComplained")
    yield Case("MessageUnsubscribed")
    yield Case("MessageAutoReplied")
    yield Case("SuppressionAdded")
    yield Case("SuppressionRemoved")


def tables() -> dict[str, str]:
    """The tables in Markdown by the heading of their first column."""
    rows = list(cases())
    return {
        kind: "\n".join([header, RULE, *(row(each) for each in rows if each.kind == kind)])
        for kind, header in HEADERS.items()
    }


def row(case: Case) -> str:
    event = case.read
    facts = event.postal
    sources = {facts.details: "`details`", facts.output: "`output`"}
    if facts.classification and facts.classification.diagnostic != facts.output:
        sources[facts.classification.diagnostic] = "`diagnostic`"
    texts = [sources.get(text, text) if text else "" for text in (event.description, event.mta_response)]
    cells = [
        f"`{case.event}`",
        case.which,
        event.event_type,
        event.reject_reason or "",
        *texts,
    ]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def main() -> None:
    page = PAGE.read_text("utf-8")
    for kind, table in tables().items():
        before, _, rest = page.partition(HEADERS[kind])
        page = f"{before}{table}\n\n{rest.partition(chr(10) * 2)[2]}"
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
