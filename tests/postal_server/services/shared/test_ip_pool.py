from __future__ import annotations

from collections import Counter as Tally
from contextlib import nullcontext
from datetime import timedelta

import pytest

from postal_server import conf
from postal_server.models import Counter, IPAddress, IPPool, IPPoolRule, QueuedMessage
from postal_server.rules.status import Scope
from postal_server.services.acceptance import storage
from postal_server.services.operations import held
from postal_server.services.shared import ip_pool
from postal_server.services.shared.work import Accepted, NewMessage
from tests.each import each
from tests.postal_server.services.conftest import NOW, RAW, store


@pytest.fixture
def config(keys) -> conf.Config:
    return conf.parse({"postal": {"use_ip_pools": True}, "delivery": {"mode": "mx"}}, {}, keys)


@pytest.fixture
def pools(world) -> dict[str, IPPool]:
    """Two pools of one address, `plain` the server's own."""
    made = {}
    for number, name in enumerate(("plain", "bulk"), start=1):
        made[name] = IPPool.objects.create(name=name)
        address(made[name], f"192.0.2.{number}")
    world.server.ip_pool = made["plain"]
    world.server.save()
    return made


def address(pool: IPPool, ipv4: str, **values) -> IPAddress:
    return IPAddress.objects.create(ip_pool=pool, ipv4=ipv4, hostname=f"{ipv4}.example", **values)


def rule(pool: IPPool, *, server=None, organization=None, senders="", recipients="") -> None:
    IPPoolRule.objects.create(
        ip_pool=pool, server=server, organization=organization, from_text=senders, to_text=recipients
    )


def submission(server_id: int, *recipients: str, raw=RAW, scope=Scope.OUTGOING) -> Accepted:
    messages = tuple(
        NewMessage(server_id, scope, rcpt, "dest.example") for rcpt in recipients or ("a@dest.example",)
    )
    return Accepted(raw, messages, "sender@example.test", "Hi", None)


def chosen(world, config, *recipients, **values) -> list[str]:
    """The names of the pools that a submission's messages leave from; `any` for none."""
    [bound] = ip_pool.bind([submission(world.server.pk, *recipients, **values)], world.directory(), config)
    names = dict(IPAddress.objects.values_list("pk", "ip_pool__name"))
    return [names.get(new.source_id, "any") for new in bound.messages]


class TestChoice:
    def test_the_server_s_pool(self, world, config, pools):
        assert chosen(world, config) == ["plain"]

    def test_without_a_pool_any_address_will_do(self, world, config):
        assert chosen(world, config) == ["any"]

    def test_incoming_mail_has_none(self, world, config, pools):
        assert chosen(world, config, scope=Scope.INCOMING) == ["any"]

    def test_not_unless_pools_are_in_use(self, world, keys, pools):
        assert chosen(world, conf.parse({}, {}, keys)) == ["any"]

    @pytest.mark.parametrize(
        ("senders", "recipients", "pool"),
        [
            ("example.test", "", "bulk"),
            ("sender@example.test", "", "bulk"),
            ("SENDER@Example.Test", "", "bulk"),
            ("other@example.test", "", "plain"),
            ("sub.example.test", "", "plain"),
            ("test", "", "plain"),
            ("", "dest.example", "bulk"),
            ("", "a@dest.example\nb@dest.example", "bulk"),
            ("", "b@dest.example", "plain"),
            ("other.example", "dest.example", "bulk"),
        ],
    )
    def test_a_rule(self, world, config, pools, senders, recipients, pool):
        rule(pools["bulk"], server=world.server, senders=senders, recipients=recipients)
        assert chosen(world, config) == [pool]

    @each("condition", ["a@BÜCHER.example", '"a"@xn--bcher-kva.example.', "bücher.example"])
    def test_a_condition_counts_however_it_is_written(self, world, config, pools, condition):
        rule(pools["bulk"], server=world.server, recipients=condition)
        assert chosen(world, config, "a+tag@xn--bcher-kva.example") == ["bulk"]

    def test_a_tag_does_not_matter(self, world, config, pools):
        rule(pools["bulk"], server=world.server, recipients="a@dest.example")
        assert chosen(world, config, "a+tag@dest.example") == ["bulk"]

    def test_any_address_of_any_from_field_counts(self, world, config, pools):
        rule(pools["bulk"], server=world.server, senders="news.example.test")
        raw = RAW.replace(b"sender@example.test", b"A <a@example.test>, B <b@news.example.test>")
        assert chosen(world, config, raw=raw) == ["bulk"]

    def test_each_recipient_has_its_own(self, world, config, pools):
        rule(pools["bulk"], server=world.server, recipients="b@dest.example")
        assert chosen(world, config, "a@dest.example", "b@dest.example") == ["plain", "bulk"]

    def test_rules_of_the_server_come_before_those_of_the_organization(self, world, config, pools):
        rule(pools["plain"], server=world.server, recipients="dest.example")
        rule(pools["bulk"], organization=world.organization, recipients="dest.example")
        assert chosen(world, config) == ["plain"]

    def test_an_organization_s_rule(self, world, config, pools):
        rule(pools["bulk"], organization=world.organization, recipients="dest.example")
        assert chosen(world, config) == ["bulk"]

    def test_the_newest_rule_counts(self, world, config, pools):
        rule(pools["plain"], server=world.server, recipients="dest.example")
        rule(pools["bulk"], server=world.server, recipients="dest.example")
        assert chosen(world, config) == ["bulk"]

    def test_addresses_are_drawn_by_their_priority(self, world, pools):
        first = IPAddress.objects.get(ip_pool=pools["plain"])
        second = address(pools["plain"], "192.0.2.10", priority=25)
        address(pools["plain"], "192.0.2.11", priority=0)
        sources = world.directory().pool(pools["plain"].pk)
        drawn = Tally(ip_pool.draw(sources) for _ in range(2000))
        assert set(drawn) == {first.pk, second.pk}
        assert 2.5 < drawn[first.pk] / drawn[second.pk] < 6.5

    def test_addresses_without_priority_are_used_where_there_are_no_others(self, world, pools):
        IPAddress.objects.update(priority=0)
        [source] = world.directory().pool(pools["plain"].pk)
        assert ip_pool.draw([source]) == source.id

    def test_the_address_stays_with_the_message(self, world, config, pools):
        bound = ip_pool.bind([submission(world.server.pk)], world.directory(), config)
        storage.store(bound, NOW)
        assert QueuedMessage.objects.get().source_id == IPAddress.objects.get(ip_pool=pools["plain"]).pk

    def test_a_message_that_is_sent_again_is_bound_again(self, world, config, pools):
        rule(pools["bulk"], server=world.server, senders="example.test")
        [claimed] = store(world)
        QueuedMessage.objects.all().delete()
        sum(held.requeue([claimed.id], world.context(config)))
        assert QueuedMessage.objects.get().source_id == IPAddress.objects.get(ip_pool=pools["bulk"]).pk


class TestWarmUp:
    @pytest.fixture
    def new(self, pools) -> IPAddress:
        return address(
            pools["plain"], "192.0.2.20", warm_up_from=NOW.date(), warm_up_first_day=2, warm_up_days=3
        )

    @each("day, left", [(-1, 0), (0, 2), (1, 4), (2, 8), (3, None)])
    def test_twice_as_much_each_day(self, world, new, day, left):
        found = ip_pool.left_today(world.directory().sources.values(), NOW + timedelta(days=day))
        assert found.get(new.pk) == left

    def test_what_was_sent_is_counted(self, world, new):
        directory = world.directory()
        other = IPAddress.objects.get(ipv4="192.0.2.1").pk
        for _ in range(2):
            ip_pool.count([new.pk, other, 0], directory, NOW)
        assert ip_pool.left_today(directory.sources.values(), NOW) == {new.pk: 0}
        assert Counter.objects.filter(name__startswith="warm:").count() == 1

    def keep(self, config, now=NOW):
        ip_pool.keep(config, now, nullcontext)

    def test_others_of_the_pool_help_one_that_sent_what_it_may(self, world, config, new):
        first, tried = store(world, "a@dest.example", "b@dest.example")
        QueuedMessage.objects.update(source_id=new.pk)
        QueuedMessage.objects.filter(pk=tried.id).update(attempts=1)
        ip_pool.count([new.pk] * 2, world.directory(), NOW)
        self.keep(config)
        sources = dict(QueuedMessage.objects.values_list("pk", "source_id"))
        assert sources == {first.id: IPAddress.objects.get(ipv4="192.0.2.1").pk, tried.id: new.pk}

    def test_alone_it_waits_for_the_next_day(self, world, config, new):
        IPAddress.objects.exclude(pk=new.pk).delete()
        store(world)
        QueuedMessage.objects.update(source_id=new.pk)
        ip_pool.count([new.pk] * 2, world.directory(), NOW)
        self.keep(config)
        assert QueuedMessage.objects.get().source_id == new.pk
        assert ip_pool.left_today(world.directory().sources.values(), NOW + timedelta(days=1)) == {new.pk: 4}

    def test_counts_of_other_days_are_forgotten(self, world, config, new):
        ip_pool.count([new.pk], world.directory(), NOW)
        self.keep(config)
        assert Counter.objects.filter(name__startswith="warm:").exists()
        self.keep(config, NOW + timedelta(days=1))
        assert not Counter.objects.filter(name__startswith="warm:").exists()


@pytest.mark.parametrize("uses_pools", [True, False])
def test_mail_bound_to_an_address_that_is_gone_is_free(world, config, keys, pools, uses_pools):
    store(world, "a@dest.example", "b@dest.example")
    known = IPAddress.objects.get(ipv4="192.0.2.1").pk
    first, second = QueuedMessage.objects.order_by("pk")
    QueuedMessage.objects.filter(pk=first.pk).update(source_id=known)
    QueuedMessage.objects.filter(pk=second.pk).update(source_id=99)
    ip_pool.keep(config if uses_pools else conf.parse({}, {}, keys), NOW, nullcontext)
    sources = list(QueuedMessage.objects.order_by("pk").values_list("source_id", flat=True))
    assert sources == [known if uses_pools else 0, 0]
