from datetime import timedelta

import pytest

from postal_server import conf
from postal_server.models import Click, Link, Load, Message, WebhookRequest
from postal_server.services.operations import tracking
from postal_server.services.operations.tracking import EVENTS_PER_HOUR, Visitor
from postal_server.services.shared import token
from tests.postal_server.services.conftest import NOW, store

VISITOR = Visitor("192.0.2.1", "Mozilla/5.0")
HOUR = NOW.replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def message(world):
    world.add_webhook()
    return Message.objects.get(pk=store(world)[0].id)


@pytest.fixture
def link(message):
    return Link.objects.create(
        server_id=message.server_id, message_id=message.id, url="https://x.example/", created_at=NOW
    )


@pytest.fixture
def server(world, message):
    return world.directory().servers[message.server_id]


def follow(link, directory, now, times=1):
    for _ in range(times):
        tracking.record_click(link, token.link_token(link.id), VISITOR, directory, now)


def open_(message, server, directory, now, times=1):
    for _ in range(times):
        tracking.record_load(server, token.message_token(message.id), VISITOR, directory, now)


def test_a_flood_is_counted_but_emits_no_more_events(world, message, link, server, caplog):
    directory = world.directory()
    open_(message, server, directory, HOUR, EVENTS_PER_HOUR - 10)
    follow(link, directory, HOUR + timedelta(minutes=59), 30)
    assert (Load.objects.count(), Click.objects.count()) == (EVENTS_PER_HOUR - 10, 30)
    assert WebhookRequest.objects.filter(event="MessageLoaded").count() == EVENTS_PER_HOUR - 10
    assert WebhookRequest.objects.filter(event="MessageLinkClicked").count() == 10
    assert caplog.text.count(f"Message {message.id} was opened or clicked more than 100 times") == 1


def test_the_next_hour_emits_events_again(world, message, server):
    directory = world.directory()
    open_(message, server, directory, HOUR, EVENTS_PER_HOUR + 1)
    open_(message, server, directory, HOUR + timedelta(hours=1))
    assert WebhookRequest.objects.count() == EVENTS_PER_HOUR + 1


def test_a_flood_of_one_message_hides_no_other(world, message, server):
    directory = world.directory()
    other = Message.objects.get(pk=store(world)[0].id)
    open_(message, server, directory, HOUR, EVENTS_PER_HOUR + 1)
    open_(other, server, directory, HOUR)
    assert WebhookRequest.objects.filter(message_id=other.id).count() == 1


@pytest.mark.parametrize(
    ("days", "age", "ended"), [(365, 364, False), (365, 366, True), (0, 9999, False), (1, 2, True)]
)
def test_a_link_ends_when_the_configuration_says(config, link, days, age, ended):
    config = conf.parse({"tracking": {"link_days": days}}, {}, config.root)
    at = NOW + timedelta(days=age)
    assert tracking.has_ended(link, token.link_token(link.id), config, at) is ended


def test_links_end_by_default(config, link):
    assert tracking.has_ended(link, "x", config, NOW + timedelta(days=366))


def test_a_link_that_is_forgotten_has_ended_and_an_unknown_token_has_not(config, link):
    mine = token.link_token(link.id)
    assert not tracking.has_ended(None, mine, config, NOW)  # another server's
    link.delete()
    assert tracking.has_ended(None, mine, config, NOW)
    assert not tracking.has_ended(None, "nobody", config, NOW)


def test_links_are_forgotten_once_they_have_ended_and_their_messages_are_gone(world, config, message, link):
    of_a_message_that_is_gone = [
        Link(server_id=message.server_id, message_id=10**9, url="https://y.example/", created_at=NOW)
        for _ in range(tracking.STEP + 10)
    ]
    Link.objects.bulk_create(of_a_message_that_is_gone)
    late = Link.objects.create(
        server_id=message.server_id, message_id=10**9, url="x", created_at=NOW + timedelta(days=2)
    )
    follow(link, world.directory(), NOW)
    tracking.forget_links(config, NOW + timedelta(days=364))
    assert Link.objects.count() == tracking.STEP + 12
    tracking.forget_links(config, NOW + timedelta(days=366))
    assert list(Link.objects.order_by("pk")) == [link, late]
    assert Click.objects.count() == 1
    tracking.forget_links(config, NOW + timedelta(days=368))
    assert list(Link.objects.all()) == [link]


def test_links_may_be_kept_for_ever(config, link):
    Message.objects.all().delete()
    kept = conf.parse({"tracking": {"link_days": 0}}, {}, config.root)
    tracking.forget_links(kept, NOW + timedelta(days=9999))
    assert Link.objects.exists()
    tracking.forget_links(config, NOW + timedelta(days=9999))
    assert not Link.objects.exists()
