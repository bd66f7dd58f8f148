from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from postal_server.engine import metrics
from postal_server.mail.smtp_reply import Reply
from postal_server.rules import outcome
from postal_server.rules.status import DeliveryStatus
from postal_server.services.shared.work import Decision, Result
from tests.fakes import claimed

PEER = outcome.Peer("mta7.am0.yahoodns.net", "192.0.2.1", 25)


def deferred() -> Result:
    reply = Reply.parse([b"421 4.7.0 [TSS04] later"])
    return Result(
        claimed(lane="yahoo.com"),
        outcome.outcome_of_reply(reply, recipient="a@yahoo.com", peer=PEER, seconds=1),
    )


@pytest.mark.parametrize(
    ("kind", "result", "labels"),
    [
        ("messages", deferred(), {"status": "SoftFail", "reason": "policy", "destination": "yahoo"}),
        (
            "messages",
            Decision(claimed(lane="a.example"), DeliveryStatus.HELD, "x"),
            {"status": "Held", "reason": "decision", "destination": "other"},
        ),
        (
            "webhooks",
            Result(
                claimed(lane="webhook:7"),
                outcome.outcome_of_response(-1, "", url="http://a.example", seconds=5),
            ),
            {"status": "SoftFail", "reason": "timeout", "destination": "webhook"},
        ),
    ],
    ids=["answer", "decision", "post"],
)
def test_results_are_counted_by_status_reason_and_destination(kind, result, labels):
    def value() -> float:
        return REGISTRY.get_sample_value("postal_outcomes_total", {"kind": kind, **labels}) or 0

    before = value()
    metrics.count(kind, result)
    assert value() == before + 1
