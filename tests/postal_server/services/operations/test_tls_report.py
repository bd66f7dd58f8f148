from __future__ import annotations

import gzip
import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes

import pytest

from postal_server import conf
from postal_server.models import Body, Message, QueuedMessage, TlsResult
from postal_server.services.operations import tls_report
from postal_server.services.results.record import record
from postal_server.services.shared.work import TlsSession
from tests.postal_server.services.conftest import NOW, sent, store

TOMORROW = NOW + timedelta(days=1)
GOOD = TlsSession("dest.example", "sts", ("mode: enforce",), ("mx.dest.example",), host="mx.dest.example")
BAD = replace(GOOD, failure="certificate-expired", address="192.0.2.1", reason="expired")
RECORD = "_smtp._tls.dest.example"


@pytest.fixture
def config(keys) -> conf.Config:
    return conf.parse(
        {
            "tls_reports": {"enabled": True},
            "smtp": {"from_address": "postmaster@example.test"},
            "delivery": {"mode": "mx"},
        },
        {},
        keys,
    )


class Dns:
    def __init__(self, **records):
        self.records = {RECORD: ["v=TLSRPTv1; rua=mailto:reports@dest.example"], **records}
        self.asked = []

    def __call__(self, questions):
        self.asked += [question.name for question in questions]
        return {question: self.records.get(question.name, []) for question in questions}


class Posts:
    def __init__(self, status=200):
        self.status = status
        self.posts = []

    def __call__(self, url, content_type, body):
        self.posts.append((url, content_type, body))
        return self.status


def count(world, config, *sessions):
    """Send a mail with these sessions."""
    [claimed] = store(world)
    QueuedMessage.objects.all().delete()
    record([replace(sent(claimed), tls_sessions=sessions)], world.directory(), config, NOW)


def send(config, now=TOMORROW, dns=None, posts=None):
    return tls_report.send(config, now, dns or Dns(), posts or Posts(), nullcontext)


def unreported():
    return list(TlsResult.objects.values_list("domain", flat=True))


def test_a_report_is_mailed_to_whom_the_record_names(world, config):
    count(world, config, GOOD, GOOD, BAD)
    Message.objects.all().delete()
    assert send(config) == 1
    message = Message.objects.get()
    assert (message.rcpt_to, message.mail_from) == ("reports@dest.example", "postmaster@example.test")
    assert message.domain_id == world.domain.pk
    assert QueuedMessage.objects.get().destination == "dest.example"
    mail = message_from_bytes(bytes(Body.objects.get(pk=message.body_id).raw))
    report = json.loads(gzip.decompress(mail.get_payload()[1].get_payload(decode=True)))
    assert report["policies"][0]["summary"] == {
        "total-successful-session-count": 2,
        "total-failure-session-count": 1,
    }
    assert report["date-range"]["start-datetime"] == f"{NOW:%Y-%m-%d}T00:00:00Z"
    assert unreported() == []


def test_or_posted(world, config):
    count(world, config, GOOD)
    Message.objects.all().delete()
    posts = Posts()
    dns = Dns(**{RECORD: ["v=TLSRPTv1; rua=https://dest.example/tlsrpt"]})
    assert send(config, dns=dns, posts=posts) == 1
    [(url, content_type, body)] = posts.posts
    assert (url, content_type) == ("https://dest.example/tlsrpt", "application/tlsrpt+gzip")
    assert json.loads(gzip.decompress(body))["policies"]
    assert not Message.objects.exists()
    assert unreported() == []


@pytest.mark.parametrize(
    ("mode", "allowlist", "is_posted"),
    [("catch", [], False), ("allowlist", ["qa.example"], False), ("allowlist", ["ann@dest.example"], True)],
)
def test_none_is_posted_once_mail_for_the_domain_is_caught(world, config, mode, allowlist, is_posted):
    count(world, config, GOOD)
    delivery = replace(config.delivery, mode=mode, allowlist=tuple(allowlist))
    dns, posts = Dns(**{RECORD: ["v=TLSRPTv1; rua=https://dest.example/r"]}), Posts()
    assert send(replace(config, delivery=delivery), dns=dns, posts=posts) == is_posted
    assert bool(posts.posts) is is_posted


def test_a_post_that_fails_is_tried_again_for_three_days(world, config):
    count(world, config, GOOD)
    dns = Dns(**{RECORD: ["v=TLSRPTv1; rua=https://dest.example/tlsrpt"]})
    for days, rows in ((1, 1), (3, 1), (4, 0)):
        assert send(config, NOW + timedelta(days=days), dns, Posts(503)) == 0
        assert len(unreported()) == rows


def test_today_is_not_over(world, config):
    count(world, config, GOOD)
    assert send(config, NOW) == 0
    assert len(unreported()) == 1


@pytest.mark.parametrize(("answer", "is_kept"), [([], False), (None, True)])
def test_a_domain_that_wants_none_gets_none(world, config, answer, is_kept):
    count(world, config, GOOD)
    Message.objects.all().delete()
    assert send(config, dns=Dns(**{RECORD: answer})) == 0
    assert not Message.objects.exists()
    assert bool(unreported()) is is_kept


def test_without_a_mail_server_for_the_address_none_is_sent(world, config, caplog):
    count(world, config, GOOD)
    world.domain.delete()
    assert send(config) == 0
    assert "smtp.from_address" in caplog.text


def test_dns_is_asked_in_steps(world, config):
    count(world, config, *(replace(GOOD, domain=f"d{n}.example") for n in range(120)))
    dns = Dns()
    send(config, dns=dns)
    assert len(dns.asked) == 120
    assert unreported() == []
