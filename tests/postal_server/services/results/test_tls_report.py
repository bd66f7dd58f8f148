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
from postal_server.services.results import record as delivery
from postal_server.services.results import tls_report
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


def record(world, config, *sessions, now=NOW):
    [claimed] = store(world)
    QueuedMessage.objects.all().delete()
    delivery.record([replace(sent(claimed), tls_sessions=sessions)], world.directory(), config, now)


def send(config, now=TOMORROW, dns=None, posts=None):
    return tls_report.send(config, now, dns or Dns(), posts or Posts(), nullcontext)


def counts():
    rows = TlsResult.objects.order_by("failure", "domain")
    return list(rows.values_list("domain", "failure", "host", "count"))


def test_sessions_are_counted_by_day_and_result(world, config):
    record(world, config, GOOD, BAD, BAD)
    record(world, config, GOOD, replace(GOOD, host="mx2.dest.example"))
    assert counts() == [
        ("dest.example", "", "", 3),
        ("dest.example", "certificate-expired", "mx.dest.example", 2),
    ]
    row = TlsResult.objects.get(failure="certificate-expired")
    assert (row.day, row.policy_type, row.policy, row.hosts) == (
        NOW.date(),
        "sts",
        "mode: enforce",
        "mx.dest.example",
    )
    assert (row.address, row.reason) == ("192.0.2.1", "expired")
    record(world, config, GOOD, now=TOMORROW)
    assert TlsResult.objects.filter(failure="").count() == 2


def test_many_sessions_of_one_batch(world, config):
    sessions = [replace(BAD, domain=f"d{n}.example") for n in range(450)]
    record(world, config, *sessions, *sessions)
    assert set(TlsResult.objects.values_list("count", flat=True)) == {2}
    assert TlsResult.objects.count() == 450


def test_nothing_is_counted_unless_reports_are_wanted(world, keys):
    record(world, conf.parse({"delivery": {"mode": "mx"}}, {}, keys), GOOD)
    assert counts() == []


def test_a_report_is_mailed_to_whom_the_record_names(world, config):
    record(world, config, GOOD, GOOD, BAD)
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
    assert counts() == []


def test_or_posted(world, config):
    record(world, config, GOOD)
    Message.objects.all().delete()
    posts = Posts()
    dns = Dns(**{RECORD: ["v=TLSRPTv1; rua=https://dest.example/tlsrpt"]})
    assert send(config, dns=dns, posts=posts) == 1
    [(url, content_type, body)] = posts.posts
    assert (url, content_type) == ("https://dest.example/tlsrpt", "application/tlsrpt+gzip")
    assert json.loads(gzip.decompress(body))["policies"]
    assert not Message.objects.exists()
    assert counts() == []


def test_a_post_that_fails_is_tried_again_for_three_days(world, config):
    record(world, config, GOOD)
    dns = Dns(**{RECORD: ["v=TLSRPTv1; rua=https://dest.example/tlsrpt"]})
    for days, rows in ((1, 1), (3, 1), (4, 0)):
        assert send(config, NOW + timedelta(days=days), dns, Posts(503)) == 0
        assert len(counts()) == rows


def test_today_is_not_over(world, config):
    record(world, config, GOOD)
    assert send(config, NOW) == 0
    assert len(counts()) == 1


@pytest.mark.parametrize(("answer", "is_kept"), [([], False), (None, True)])
def test_a_domain_that_wants_none_gets_none(world, config, answer, is_kept):
    record(world, config, GOOD)
    Message.objects.all().delete()
    assert send(config, dns=Dns(**{RECORD: answer})) == 0
    assert not Message.objects.exists()
    assert bool(counts()) is is_kept


def test_without_a_mail_server_for_the_address_none_is_sent(world, config, caplog):
    record(world, config, GOOD)
    world.domain.delete()
    assert send(config) == 0
    assert "smtp.from_address" in caplog.text


def test_dns_is_asked_in_steps(world, config):
    record(world, config, *(replace(GOOD, domain=f"d{n}.example") for n in range(120)))
    dns = Dns()
    send(config, dns=dns)
    assert len(dns.asked) == 120
    assert counts() == []
