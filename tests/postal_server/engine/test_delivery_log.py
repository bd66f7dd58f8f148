from __future__ import annotations

import logging
from concurrent.futures import Future

import pytest

from postal_server.engine import delivery_log
from postal_server.engine.acceptance import Acceptance, PendingSubmissions
from postal_server.mail.smtp_reply import Reply
from postal_server.rules import outcome
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.shared.work import Accepted, Decision, NewMessage, Result, Stored
from tests.fakes import claimed

PEER = outcome.Peer("mx.dest.example", "192.0.2.1", 25, log_id="DUTUY1AE")
ROW = claimed(7, lane="dest.example", server_id=3, attempts=2)


def answered(text: str) -> Result:
    reply = Reply.parse([text.encode()])
    return Result(
        ROW, outcome.outcome_of_reply(reply, recipient="ann@dest.example", peer=PEER, seconds=0.0412)
    )


def test_a_failed_attempt_is_logged_with_the_numbers_of_its_message(caplog):
    caplog.set_level(logging.INFO)
    delivery_log.write("messages", answered("550 5.1.1 <ann@dest.example> unknown"))
    [record] = caplog.records
    assert record.getMessage() == "message 7: HardFail for dest.example (address 550)"
    assert record.fields == {
        "message_id": 7,
        "server_id": 3,
        "lane": "dest.example",
        "status": "HardFail",
        "attempt": 3,
        "reason": "address",
        "code": 550,
        "seconds": 0.041,
        "log_id": "DUTUY1AE",
    }


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_success_is_logged_at_level_debug(caplog, level):
    caplog.set_level(level)
    delivery_log.write("messages", answered("250 ok"))
    assert bool(caplog.records) is (level == logging.DEBUG)


def test_a_decision(caplog):
    caplog.set_level(logging.INFO)
    delivery_log.write("messages", Decision(ROW, DeliveryStatus.HELD, "x"))
    assert caplog.messages == ["message 7: Held for dest.example (decided)"]


def test_the_password_in_a_webhooks_url_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    post = outcome.outcome_of_response(500, "no", url="https://ann:secret@app.example/", seconds=1.0)
    delivery_log.write("webhooks", Result(claimed(9, lane="webhook:4"), post))
    [record] = caplog.records
    assert record.getMessage() == "webhook request 9: SoftFail for webhook:4 (5xx 500)"
    assert "secret" not in str(record.__dict__)


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_accepted_messages_are_logged_at_level_debug(caplog, level):
    caplog.set_level(level)
    new = tuple(
        NewMessage(server_id=3, scope=Scope.OUTGOING, rcpt_to=name, destination="dest.example")
        for name in ("ann@dest.example", "bob@dest.example")
    )
    accepted = Accepted(b"x" * 50, new, mail_from="me@a.example", subject="secret", message_id="1@x")
    acceptance = Acceptance(None)
    stored = [Stored(7, "token", "ann@dest.example"), Stored(8, "token", "bob@dest.example")]
    acceptance.committed([PendingSubmissions([accepted], Future())], ([stored], 0.0))
    lines = [(record.getMessage(), record.fields) for record in caplog.records]
    assert lines == (
        [
            (f"message {number}: accepted (50 bytes)", {"message_id": number, "server_id": 3, "size": 50})
            for number in (7, 8)
        ]
        if level == logging.DEBUG
        else []
    )
