import json
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from postal_server.models import Counter, Server, WebhookRequest
from postal_server.rules import hold
from postal_server.rules.hold import HoldReason
from postal_server.services.preparation import send_limit
from postal_server.services.shared import operator_mail
from postal_server.services.shared.loader import load
from tests.postal_server.services.conftest import NOW


@pytest.fixture
def server(world):
    Server.objects.update(send_limit=10)
    world.add_webhook()
    return load().servers[world.server.pk]


def admit(server, count, now=NOW):
    """How many of `count` attempts are let through."""
    return send_limit.admit([server] * count, now).count(None)


def test_attempts_are_counted_over_an_hour(server):
    assert admit(server, 4) == 4
    assert admit(server, 4, NOW + timedelta(minutes=30)) == 4
    assert admit(server, 4, NOW + timedelta(minutes=59)) == 2
    assert admit(server, 4, NOW + timedelta(minutes=61)) == 4


def test_the_limit_holds_within_a_batch(server):
    answers = send_limit.admit([server] * 12, NOW)
    assert answers == [None] * 10 + [hold.by(HoldReason.SEND_LIMIT, limit=10)] * 2
    assert send_limit.volumes([server], NOW) == {server.id: 10}


def test_servers_without_a_limit_cost_no_query(world, django_assert_num_queries):
    server = load().servers[world.server.pk]
    with django_assert_num_queries(0):
        assert send_limit.admit([server] * 5, NOW) == [None] * 5


@pytest.mark.parametrize("count", [1, 8])
def test_a_batch_takes_two_queries(server, count, django_assert_num_queries):
    with django_assert_num_queries(4):  # two and a savepoint
        send_limit.admit([server] * count, NOW)


def events():
    return [
        (row.event, json.loads(bytes(row.body))["payload"]) for row in WebhookRequest.objects.order_by("id")
    ]


@pytest.fixture
def mailed(monkeypatch):
    """What `operator_mail.send` was given: pairs of mail and configuration."""
    found = []
    monkeypatch.setattr(
        operator_mail, "send", lambda mails, given: found.extend((mail, given) for mail in mails)
    )
    return found


@pytest.fixture
def notify(config, mailed):
    return lambda now: send_limit.notify(config, now)


class TestNotify:
    def test_there_is_no_event_below_nine_tenths(self, server, notify):
        admit(server, 9)
        assert notify(NOW) == 0

    def test_an_approaching_limit_has_one_event_an_hour(self, server, notify):
        admit(server, 10)
        assert notify(NOW + timedelta(minutes=1)) == 1
        assert notify(NOW + timedelta(minutes=2)) == 0
        [(event, payload)] = events()
        assert event == "SendLimitApproaching"
        assert (payload["volume"], payload["limit"]) == (10, 10)
        assert payload["server"]["permalink"] == "live"
        admit(server, 10, NOW + timedelta(minutes=62))
        assert notify(NOW + timedelta(minutes=63)) == 1

    def test_an_exceeded_limit_has_an_event(self, server, notify):
        admit(server, 11)
        notify(NOW)
        assert [event for event, _ in events()] == ["SendLimitExceeded"]

    def test_an_old_note_has_no_event(self, server, notify):
        admit(server, 11)
        assert notify(NOW + timedelta(minutes=4)) == 0

    def test_counts_that_no_window_needs_are_forgotten(self, server, notify):
        admit(server, 3)
        notify(NOW + timedelta(minutes=59))
        assert Counter.objects.filter(name__startswith="sent:").count() == 1
        notify(NOW + timedelta(minutes=60))
        assert not Counter.objects.filter(name__startswith="sent:").exists()

    def test_the_postmaster_is_mailed(self, server, notify, mailed, config):
        Server.objects.update(postmaster_address="postmaster@example.test")
        admit(server, 11)
        notify(NOW)
        [(mail, given)] = mailed
        assert (mail["To"], mail["From"]) == ("postmaster@example.test", "Postal <postal@example.com>")
        assert mail["Subject"] == "[example/live] Mail server has exceeded its send limit"
        assert "may send 10 messages an hour" in mail.get_content()
        assert given == config

    @pytest.mark.parametrize(
        ("is_on", "until"), [(False, "until\na person releases it or"), (True, "until\nthe hour has room or")]
    )
    def test_the_mail_says_when_held_mail_goes_on(self, server, config, mailed, is_on, until):
        Server.objects.update(postmaster_address="postmaster@example.test")
        admit(server, 11)
        send_limit.notify(replace(config, hold=replace(config.hold, release_send_limit=is_on)), NOW)
        assert until in mailed[0][0].get_content().replace("\r\n", "\n")

    def test_administrators_are_mailed_where_there_is_no_postmaster(self, server, notify, mailed):
        for name, rights in (("root", {"is_superuser": True}), ("clerk", {}), ("gone", {"is_active": False})):
            User.objects.create(username=name, email=f"{name}@example.test", **rights)
        admit(server, 10)
        notify(NOW)
        [(mail, _)] = mailed
        assert mail["To"] == "root@example.test"
        assert mail["Subject"] == "[example/live] Mail server is approaching its send limit"

    def test_a_mail_host_that_is_down_does_not_keep_events_back(self, server, notify, monkeypatch, caplog):
        def refuse(mails, given):
            raise ConnectionRefusedError("refused")

        monkeypatch.setattr(operator_mail, "send", refuse)
        Server.objects.update(postmaster_address="postmaster@example.test")
        admit(server, 11)
        assert notify(NOW) == 1
        assert events()
        assert "The mail about send limits was not sent: refused" in caplog.text
