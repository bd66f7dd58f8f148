from datetime import timedelta

import pytest
from django.db import transaction

from postal_server.models import (
    Body,
    Delivery,
    Message,
    WebhookRequest,
)
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results import record as results
from postal_server.services.shared.token import message_token
from postal_server.services.shared.work import Changes, Decision, Inspection
from tests.postal_server.services.conftest import NOW, sent, store

from .conftest import LATER, events


class TestStatus:
    def test_sent_mail_leaves_the_queue_with_an_event(self, world, record):
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
        [payload] = events("MessageSent")
        assert (payload["message"]["id"], payload["message"]["token"]) == (claim.id, message_token(claim.id))
        assert (payload["status"], payload["sent_with_ssl"], payload["time"]) == ("Sent", False, 0.04)
        assert payload["timestamp"] == LATER.timestamp()

    def test_a_deferral_is_due_after_five_minutes_and_has_an_event(self, world, record):
        world.add_webhook()
        [claim] = store(world)
        [(number, due)] = record(sent(claim, "450 as asked")).deferred
        assert number == claim.id
        assert timedelta(minutes=5) <= due - LATER <= timedelta(minutes=5.5)
        assert Message.objects.get().status == "SoftFail"
        assert [payload["status"] for payload in events("MessageDelayed")] == ["SoftFail"]

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
        [payload] = events("MessageHeld")
        assert (payload["output"], payload["sent_with_ssl"], payload["time"]) == ("", None, None)

    @pytest.mark.parametrize("changes", [None, Changes(prefix=b"X: y\r\n")], ids=["as it was", "changed"])
    def test_sent_mail_waits_for_no_person(self, world, record, changes):
        [claim] = store(world)
        Message.objects.update(hold_expires_at=NOW)
        record(sent(claim, changes=changes))
        assert Message.objects.get().hold_expires_at is None

    def test_an_error_is_tried_again_without_an_event(self, world, record):
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
        about = {payload["message"]["id"]: payload["message"] for payload in events("MessageSent")}
        assert (about[one.id]["tag"], about[one.id]["spam_status"]) == ("t", "Spam")
        assert (about[two.id]["tag"], about[two.id]["spam_status"]) == (None, "NotChecked")

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


@pytest.mark.parametrize("count", [1, 30])
def test_a_batch_of_sent_mail_takes_eight_queries(world, config, count, django_assert_num_queries):
    world.add_webhook()
    claims = store(world, *[f"a{n}@dest.example" for n in range(count)])
    directory = world.directory()
    batch = [sent(claim, changes=Changes(prefix=b"X: y\r\n")) for claim in claims]
    # messages, strikes, deliveries, update, imported tokens, webhook requests that wait, and those to come,
    # the operator's answers
    with transaction.atomic(), django_assert_num_queries(8):
        results.record(batch, directory, config, LATER)


@pytest.mark.parametrize("count", [1, 30])
def test_a_batch_of_failures_takes_as_many_queries_whatever_its_size(
    world, config, count, django_assert_max_num_queries
):
    claims = store(world, *[f"a{n}@dest.example" for n in range(count)])
    batch = [sent(claim, "550 5.1.1 no") for claim in claims]
    directory = world.directory()
    # messages; strikes, entries, incidents (opening one takes six); deliveries, status, answers counted
    with transaction.atomic(), django_assert_max_num_queries(14):
        results.record(batch, directory, config, LATER)
