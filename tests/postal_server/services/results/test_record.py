import json
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from postal_server.mail.reply import Reply
from postal_server.models import (
    Body,
    Delivery,
    FailureEvidence,
    Message,
    QueuedMessage,
    SMTPEndpoint,
    Suppression,
    WebhookRequest,
)
from postal_server.rules import outcome
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.results import record as delivery
from postal_server.services.results import suppression
from postal_server.services.shared.token import message_token
from postal_server.services.shared.work import Changes, Decision, Inspection, Result
from tests.postal_server.services.conftest import NOW, sent, store

LATER = NOW + timedelta(seconds=2)


@pytest.fixture
def record(world, config):
    """Records at LATER; the directory is that of the call."""

    def call(*results):
        return delivery.record(results, world.directory(), config, LATER)

    return call


def events(name):
    return [json.loads(bytes(row.body))["payload"] for row in WebhookRequest.objects.filter(event=name)]


class TestStatus:
    def test_sent_mail_leaves_the_queue_and_is_told(self, world, record):
        world.add_webhook()
        [claim] = store(world)
        assert record(sent(claim)).finished == [claim.id]
        row = Message.objects.get()
        assert (row.status, row.last_attempt_at, row.hold_expires_at) == ("Sent", LATER, None)
        tried = Delivery.objects.get()
        assert tried.details == "Message for a@dest.example accepted by 127.0.0.1:25 (mx.dest.example)"
        assert (tried.code, tried.output, tried.log_id, tried.seconds) == (
            250,
            "250 2.0.0 Ok: queued",
            "DUTUY1AE",
            0.04,
        )
        [told] = events("MessageSent")
        assert (told["message"]["id"], told["message"]["token"]) == (claim.id, message_token(claim.id))
        assert (told["status"], told["sent_with_ssl"], told["time"]) == ("Sent", False, 0.04)
        assert told["timestamp"] == LATER.timestamp()

    def test_a_deferral_is_due_after_five_minutes_and_told(self, world, record):
        world.add_webhook()
        [claim] = store(world)
        [(number, due)] = record(sent(claim, "450 as asked")).deferred
        assert number == claim.id
        assert timedelta(minutes=5) <= due - LATER <= timedelta(minutes=5.5)
        assert Message.objects.get().status == "SoftFail"
        assert [told["status"] for told in events("MessageDelayed")] == ["SoftFail"]

    def test_later_deferrals_wait_longer_and_named_waits_are_kept(self, world, record):
        [claim] = store(world, attempts=4)
        [(_, due)] = record(sent(claim, "450 later")).deferred
        assert due - LATER > timedelta(minutes=14)
        [(_, due)] = record(sent(claim, "450 wait 90 minutes")).deferred
        assert due - LATER == timedelta(minutes=90, seconds=10)

    def test_held_mail_waits_a_week_for_a_person(self, world, record):
        world.add_webhook()
        [claim] = store(world)
        recorded = record(Decision(claim, DeliveryStatus.HELD, "Server is in development mode."))
        assert recorded.finished == [claim.id]
        assert Message.objects.get().hold_expires_at == LATER + timedelta(days=7)
        [told] = events("MessageHeld")
        assert (told["output"], told["sent_with_ssl"], told["time"]) == ("", None, None)

    @pytest.mark.parametrize("changes", [None, Changes(prefix=b"X: y\r\n")], ids=["as it was", "changed"])
    def test_sent_mail_waits_for_nobody(self, world, record, changes):
        [claim] = store(world)
        Message.objects.update(hold_expires_at=NOW)
        record(sent(claim, changes=changes))
        assert Message.objects.get().hold_expires_at is None

    def test_an_error_is_tried_again_and_told_nobody(self, world, record):
        world.add_webhook()
        [claim] = store(world)
        recorded = record(Decision(claim, DeliveryStatus.ERROR, "An internal error", output="ValueError: x"))
        assert [number for number, _ in recorded.deferred] == [claim.id]
        assert Message.objects.get().status == "Error"
        assert not WebhookRequest.objects.exists()

    def test_what_was_deleted_meanwhile_is_finished(self, world, record):
        [claim] = store(world)
        Message.objects.all().delete()
        assert record(sent(claim)).finished == [claim.id]
        assert not Delivery.objects.exists()

    def test_texts_are_cut_and_storable(self, world, record):
        [claim] = store(world)
        record(Decision(claim, DeliveryStatus.HELD, "d" * 300, output="\0 o" + "o" * 300))
        row = Delivery.objects.get()
        assert (len(row.details), len(row.output)) == (250, 250)
        assert "\0" not in row.output


class TestChanges:
    def test_what_preparing_changed_is_written(self, world, record):
        world.add_webhook()
        one, two = store(world, "a@x.example", "b@x.example")
        found = Inspection(score=6.5, is_spam=True, is_threat=True, threat_details="EICAR")
        changes = Changes(
            prefix=b"DKIM-Signature: a\r\n", tag="t", raw=b"new", is_rewritten=True, inspection=found
        )
        record(sent(one, changes=changes), sent(two))
        rows = Message.objects.in_bulk([one.id, two.id])
        row = rows[one.id]
        assert (bytes(row.prefix), row.tag, row.is_rewritten) == (b"DKIM-Signature: a\r\n", "t", True)
        assert (row.is_inspected, row.is_spam, row.spam_score) == (True, True, 6.5)
        assert (row.is_threat, row.threat_details) == (True, "EICAR")
        assert bytes(Body.objects.get(pk=row.body_id).raw) == b"new"
        assert rows[two.id].body_id == one.id
        assert (bytes(rows[two.id].prefix), rows[two.id].tag) == (b"", None)
        told = {payload["message"]["id"]: payload["message"] for payload in events("MessageSent")}
        assert (told[one.id]["tag"], told[one.id]["spam_status"]) == ("t", "Spam")
        assert (told[two.id]["tag"], told[two.id]["spam_status"]) == (None, "NotChecked")

    def test_what_did_not_change_stays(self, world, record):
        [claim] = store(world, tag="mine")
        record(sent(claim, "450 later", Changes(prefix=b"A: 1\r\n")))
        record(sent(claim, changes=Changes()))
        row = Message.objects.get()
        assert (bytes(row.prefix), row.tag, row.status, row.body_id) == (
            b"A: 1\r\n",
            "mine",
            "Sent",
            claim.id,
        )


class TestSuppression:
    def test_the_second_hard_failure_suppresses_and_says_so(self, world, record):
        for expected in (
            "Permanent SMTP delivery error when sending to 127.0.0.1:25 (mx.dest.example)",
            "Permanent SMTP delivery error when sending to 127.0.0.1:25 (mx.dest.example). "
            "Recipient added to suppression list (too many hard fails)",
        ):
            [claim] = store(world)
            record(sent(claim, "550 5.1.1 no such user"))
            assert Delivery.objects.get(message_id=claim.id).details == expected
        assert Suppression.objects.get().address == "a@dest.example"

    @pytest.mark.parametrize(
        "answer", ["550 5.7.1 blocked", "554 5.3.4 too big", "421 4.7.0 slow down", "450 4.2.1 x"]
    )
    def test_answers_that_are_not_about_the_person_leave_no_evidence(self, world, record, answer):
        [claim] = store(world)
        record(sent(claim, answer))
        assert not FailureEvidence.objects.exists()

    def test_a_released_mail_that_arrives_clears(self, world, record, config):
        suppression.add({(world.server.pk, "a@dest.example"): "too many hard fails"}, config, NOW)
        [claim] = store(world, is_manual=True)
        record(sent(claim))
        assert not Suppression.objects.exists()
        assert Delivery.objects.get().details.endswith(
            "(mx.dest.example). Recipient removed from suppression list"
        )

    def test_used_up_attempts_suppress(self, world, record):
        [claim] = store(world)
        record(Decision(claim, DeliveryStatus.FAILED, "used up", suppress_for="too many soft fails"))
        assert Suppression.objects.get().reason == "too many soft fails"


class TestIncoming:
    def test_a_failed_post_tells_the_sender_and_names_the_notice(self, world, record):
        world.add_webhook()
        [claim] = store(world, "in@example.test", scope=Scope.INCOMING, mail_from="ann@remote.example")
        found = outcome.classify_post(404, "as asked", url="http://h.example/in", seconds=0.01)
        assert record(Result(claim, found)).finished == [claim.id]
        notice = Message.objects.exclude(pk=claim.id).get()
        sentence = f"Sent bounce message to sender (see message <msg:{notice.id}>)"
        details = f"Received a 404 from http://h.example/in. {sentence}"
        assert Delivery.objects.get().details == details
        assert (notice.scope, notice.rcpt_to, notice.mail_from) == (
            "outgoing",
            "ann@remote.example",
            "in@example.test",
        )
        assert (notice.is_bounce, notice.bounce_for_id, notice.received_with_ssl) == (True, claim.id, None)
        assert QueuedMessage.objects.get(pk=notice.id).destination == "remote.example"
        [told] = events("MessageDeliveryFailed")
        assert told["details"] == details

    def test_a_stranger_hears_neither_the_url_nor_the_host_inside(self, world, record):
        for found in (
            outcome.classify_post(404, "x", url="http://user:secret@h.internal/in", seconds=0.01),
            outcome.classify(
                Reply.parse([b"550 5.7.1 mynetworks 10.0.0.0/8 only"]),
                recipient="in@example.test",
                peer=outcome.Peer("mail.internal", "10.0.0.1", 25),
                seconds=0.01,
            ),
            outcome.unreachable("mail.internal", tried=["mail.internal"], is_permanent=True),
        ):
            [claim] = store(world, "in@example.test", scope=Scope.INCOMING, mail_from="ann@remote.example")
            record(Result(claim, found))
            text = bytes(Body.objects.latest("id").raw)
            assert b"Diagnostic-Code: x-postal; The recipient's system " in text
            for inside in (b"secret", b"internal", b"10.0.0", b"mynetworks"):
                assert inside not in text

    def test_limits_withhold_notices_and_say_so(self, world, config):
        limited = replace(config, delivery=replace(config.delivery, max_notices_per_recipient=2))
        claims = [
            store(world, "in@example.test", scope=Scope.INCOMING, mail_from=sender)[0]
            for sender in ["ann@remote.example"] * 3 + ["Ann@Remote.example", "bob@remote.example"]
        ]
        found = outcome.classify_post(404, "", url="http://h.example/in", seconds=0.01)
        recorded = delivery.record(
            [Result(claim, found) for claim in claims], world.directory(), limited, NOW
        )
        assert recorded.withheld_notices == 2
        assert Message.objects.filter(bounce_for_id__isnull=False).count() == 3
        told = [row.details for row in Delivery.objects.order_by("message_id")]
        assert ["Sent bounce" in details for details in told] == [True, True, False, False, True]

    @pytest.mark.parametrize(
        ("code", "values"),
        [
            (429, {}),
            (503, {}),
            (404, {"mail_from": None}),
            (404, {"is_bounce": True}),
            (404, {"mail_from": "nonsense"}),
        ],
    )
    def test_some_senders_are_not_told(self, world, record, code, values):
        values = {"mail_from": "ann@remote.example", **values}
        [claim] = store(world, "in@example.test", scope=Scope.INCOMING, **values)
        record(Result(claim, outcome.classify_post(code, "", url="http://h.example/in", seconds=0.01)))
        assert Message.objects.count() == 1
        assert Delivery.objects.get().details == f"Received a {code} from http://h.example/in"

    def test_outgoing_failures_send_no_notice(self, world, record):
        [claim] = store(world)
        record(sent(claim, "550 5.1.1 no"))
        assert Message.objects.count() == 1

    def test_a_failed_forward_leaves_the_recipient_alone(self, world, record):
        [claim] = store(world, "fwd@example.test", scope=Scope.INCOMING, mail_from="ann@remote.example")
        record(sent(claim, "550 5.1.1 no"))
        assert not FailureEvidence.objects.exists()
        assert Message.objects.count() == 2


class TestReports:
    def test_the_original_has_bounced_and_the_report_is_done(self, world, record):
        world.add_webhook()
        [original] = store(world)
        record(sent(original))
        [report] = store(
            world, "s8halm@rp.postal.example.test", scope=Scope.INCOMING, is_bounce=True, mail_from=None
        )
        details = f"This has been detected as a bounce message for <msg:{original.id}>."
        decision = Decision(report, DeliveryStatus.PROCESSED, details, bounced_ids=(original.id,))
        assert record(decision).finished == [report.id]
        rows = Message.objects.in_bulk([original.id, report.id])
        assert (rows[original.id].status, rows[report.id].status) == ("Bounced", "Processed")
        assert rows[report.id].bounce_for_id == original.id
        bounced = Delivery.objects.get(message_id=original.id, status="Bounced")
        assert bounced.details == (
            f"We've received a bounce message for this e-mail. See <msg:{report.id}> for details."
        )
        [told] = events("MessageBounced")
        assert (told["original_message"]["id"], told["bounce"]["id"]) == (original.id, report.id)
        assert (told["bounce"]["from"], told["bounce"]["spam_status"]) == (None, "NotChecked")

    def test_a_report_about_two_messages_is_told_twice(self, world, record):
        world.add_webhook()
        one, two = store(world, "a@x.example", "b@x.example")
        [report] = store(world, "s8halm@rp.postal.example.test", scope=Scope.INCOMING, is_bounce=True)
        record(Decision(report, DeliveryStatus.PROCESSED, "x", bounced_ids=(one.id, two.id)))
        assert len(events("MessageBounced")) == 2
        assert Delivery.objects.filter(message_id=report.id).count() == 2

    @pytest.mark.parametrize(("is_hard", "suppressed"), [(True, 1), (False, 0)])
    def test_a_hard_bounce_suppresses(self, world, record, is_hard, suppressed):
        [original] = store(world)
        [report] = store(world, "s8halm@rp.postal.example.test", scope=Scope.INCOMING, is_bounce=True)
        record(
            Decision(
                report, DeliveryStatus.PROCESSED, "x", bounced_ids=(original.id,), is_hard_bounce=is_hard
            )
        )
        assert (
            Suppression.objects.filter(address="a@dest.example", reason="hard bounce").count() == suppressed
        )


@pytest.mark.parametrize(
    ("answer", "is_used"), [("250 2.0.0 Ok", True), ("451 4.3.0 later", False), ("550 5.1.1 no", False)]
)
def test_an_endpoint_that_took_mail_was_used(world, record, answer, is_used):
    endpoint = SMTPEndpoint.objects.create(server=world.server, name="E", hostname="mx.example.test")
    untouched = SMTPEndpoint.objects.create(server=world.server, name="F", hostname="mx.example.test")
    values = {"scope": Scope.INCOMING, "endpoint_type": "SMTPEndpoint", "endpoint_id": endpoint.pk}
    [claim] = store(world, **values)
    record(sent(claim, answer))
    endpoint.refresh_from_db()
    untouched.refresh_from_db()
    assert (endpoint.last_used_at, untouched.last_used_at) == (LATER if is_used else None, None)


def test_the_use_of_an_endpoint_is_noted_once_a_minute(world, record):
    endpoint = SMTPEndpoint.objects.create(
        server=world.server, name="E", hostname="mx.example.test", last_used_at=NOW
    )
    values = {"scope": Scope.INCOMING, "endpoint_type": "SMTPEndpoint", "endpoint_id": endpoint.pk}
    [claim] = store(world, **values)
    record(sent(claim))
    endpoint.refresh_from_db()
    assert endpoint.last_used_at == NOW


@pytest.mark.parametrize("count", [1, 30])
def test_a_batch_of_sent_mail_takes_six_queries(world, config, count, django_assert_num_queries):
    world.add_webhook()
    claims = store(world, *[f"a{n}@dest.example" for n in range(count)])
    directory = world.directory()
    results = [sent(claim, changes=Changes(prefix=b"X: y\r\n")) for claim in claims]
    # messages, deliveries, update, imported tokens, webhook requests that wait, and those to come
    with transaction.atomic(), django_assert_num_queries(6):
        delivery.record(results, directory, config, LATER)


@pytest.mark.parametrize("count", [1, 30])
def test_a_batch_of_failures_takes_as_many_queries_whatever_its_size(
    world, config, count, django_assert_max_num_queries
):
    claims = store(world, *[f"a{n}@dest.example" for n in range(count)])
    results = [sent(claim, "550 5.1.1 no") for claim in claims]
    directory = world.directory()
    with transaction.atomic(), django_assert_max_num_queries(5):
        delivery.record(results, directory, config, LATER)
