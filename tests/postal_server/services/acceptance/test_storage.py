import pytest
from django.db import transaction

from postal_server.models import Body, Message, QueuedMessage
from postal_server.models.message import message_id_key
from postal_server.rules.status import Scope
from postal_server.services.acceptance import storage
from postal_server.services.shared import token
from postal_server.services.shared.work import Accepted, NewMessage
from tests.postal_server.services.conftest import NOW

RAW = b"From: a@example.test\r\nSubject: Hi\r\n\r\nHello\r\n"


def accepted(*recipients, **values):
    messages = tuple(
        NewMessage(
            server_id=3, scope=Scope.OUTGOING, rcpt_to=address, destination="dest.example", domain_id=5
        )
        for address in recipients
    )
    values = {"mail_from": "a@example.test", "subject": "Hi", "message_id": "x@example.test", **values}
    return Accepted(raw=RAW, messages=messages, **values)


@pytest.mark.django_db
class TestStore:
    def test_each_recipient_gets_a_message_and_all_share_the_text(self):
        [[one, two]] = storage.store([accepted("a@dest.example", "b@dest.example")], NOW)
        assert (one.rcpt_to, two.rcpt_to) == ("a@dest.example", "b@dest.example")
        assert one.token == token.message_token(one.id)
        assert [bytes(body.raw) for body in Body.objects.all()] == [RAW]
        rows = list(Message.objects.order_by("id"))
        assert [row.body_id for row in rows] == [one.id, one.id]
        assert [(row.status, row.size_bytes, row.domain_id) for row in rows] == [("Pending", len(RAW), 5)] * 2
        queued = QueuedMessage.objects.get(pk=two.id)
        assert (queued.destination, queued.due_at, queued.claimed_by) == ("dest.example", None, None)
        assert queued.expires_at == NOW + storage.LIFETIME

    def test_the_answers_keep_the_order_of_the_batch(self):
        answers = storage.store([accepted("a@x.example"), accepted(), accepted("b@x.example")], NOW)
        assert [[stored.rcpt_to for stored in answer] for answer in answers] == [
            ["a@x.example"],
            [],
            ["b@x.example"],
        ]

    @pytest.mark.parametrize("size", [1, 20])
    def test_a_batch_takes_four_queries_whatever_its_size(self, django_assert_num_queries, size):
        batch = [accepted("a@x.example", "b@x.example") for _ in range(size)]
        with transaction.atomic(), django_assert_num_queries(4):
            storage.store(batch, NOW)

    def test_a_submission_without_recipients_stores_nothing(self):
        assert storage.store([accepted()], NOW) == [[]]
        assert not Body.objects.exists()

    def test_the_stored_subject_is_cut(self):
        storage.store([accepted("a@x.example", subject="s" * 8193)], NOW)
        assert Message.objects.get().subject == "s" * 8192

    def test_the_message_id_is_indexed_by_day_and_hash(self):
        storage.store([accepted("a@x.example"), accepted("b@x.example", message_id=None)], NOW)
        with_id, without = Message.objects.order_by("id")
        assert (with_id.message_id_day, with_id.message_id_hash) == message_id_key("x@example.test", NOW)
        assert (without.message_id_day, without.message_id_hash) == (None, None)
