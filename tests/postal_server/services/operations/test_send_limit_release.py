from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from postal_server.models import Delivery, Message, QueuedMessage, Server
from postal_server.services.operations import send_limit_release
from postal_server.services.preparation import messages
from postal_server.services.results import record
from tests.postal_server.services.conftest import NOW, sent, store

LATER = NOW + timedelta(minutes=61)


@pytest.fixture
def sending(world, config):
    """Ten messages are sent at `NOW` under this limit; the ids of those that it holds."""

    def call(limit):
        Server.objects.update(send_limit=limit)
        directory = world.directory()
        claims = store(world, *[f"a{n}@dest.example" for n in range(10)])
        prepared = messages.prepare(claims, directory, config, NOW)
        results = [item if hasattr(item, "status") else sent(item.claimed) for item in prepared]
        record.record(results, directory, config, NOW)
        QueuedMessage.objects.all().delete()
        return sorted(Message.objects.filter(hold_reason="send_limit").values_list("pk", flat=True))

    return call


@pytest.fixture
def on(config):
    return replace(config, hold=replace(config.hold, release_send_limit=True))


def release(config, now):
    return send_limit_release.release(config, now, transaction.atomic)


def test_the_oldest_are_released_as_soon_as_the_hour_has_room(sending, on):
    held = sending(4)
    assert len(held) == 6
    assert release(on, NOW + timedelta(minutes=30)) == 0
    assert release(on, LATER) == 4
    rows = QueuedMessage.objects.order_by("pk")
    assert [(row.pk, row.is_manual) for row in rows] == [(pk, False) for pk in held[:4]]
    assert (
        list(Message.objects.filter(hold_expires_at__isnull=False).values_list("pk", flat=True)) == held[4:]
    )
    # What is about to be sent takes up the room.
    assert release(on, LATER) == 0


def test_released_mail_is_sent_in_turn(world, sending, on):
    sending(4)
    release(on, LATER)
    directory = world.directory()
    claims = [
        replace(claim, id=pk)
        for claim, pk in zip(
            store(world, *["x@dest.example"] * 4),
            QueuedMessage.objects.values_list("pk", flat=True)[:4],
            strict=True,
        )
    ]
    prepared = messages.prepare(claims, directory, on, LATER)
    assert not any(hasattr(item, "status") for item in prepared)


def test_it_is_off_as_in_postal(sending, config, django_assert_num_queries):
    sending(4)
    with django_assert_num_queries(0):
        assert release(config, LATER) == 0


def test_nothing_held_costs_one_query(world, on, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert release(on, LATER) == 0


def test_a_limit_that_is_gone_holds_nothing(sending, on):
    sending(4)
    Server.objects.update(send_limit=None)
    assert release(on, NOW) == 6


def test_what_is_held_for_another_reason_stays(sending, on):
    sending(4)
    Message.objects.update(hold_reason="spam")
    assert release(on, LATER) == 0
    assert Delivery.objects.filter(status="Held").count() == 6
