import json
from datetime import timedelta

import pytest

from postal_server.mail import dkim
from postal_server.models import Domain, TrackDomain, WebhookRequest
from postal_server.services import domain as domains
from postal_server.services.domain import Question

from .conftest import NOW


@pytest.fixture
def published(world, config):
    """The answers of a DNS that has everything that the domain must publish."""
    found = {}
    for record in domains.records_to_publish(world.domain, config):
        found.setdefault(Question(record.name, record.kind), []).append(record.value)
    return found


def asker(found, failing=()):
    """A DNS with these records whose name servers fail for some names."""
    return lambda questions: {q: None if q.name in failing else found.get(q, []) for q in questions}


def states():
    row = Domain.objects.get()
    return {name: getattr(row, f"{name}_status") for name in domains.CHECKS}


def test_what_is_published_is_in_order(world, config, published):
    domains.check([world.domain], config, NOW, asker(published))
    assert set(states().values()) == {"OK"}
    assert domains.is_fine(Domain.objects.get())
    assert Domain.objects.get().dns_checked_at == NOW


def test_what_is_not_published_is_missing(world, config):
    domains.check([world.domain], config, NOW, asker({}))
    assert set(states().values()) == {"Missing"}
    assert not domains.is_fine(Domain.objects.get())
    assert Domain.objects.get().dkim_error == (
        "No TXT records were returned for postal-WTgXDd._domainkey.example.test"
    )


def test_a_name_server_that_fails_changes_nothing(world, config, published):
    domains.check([world.domain], config, NOW, asker(published))
    failing = {question.name for question in published}
    domains.check([world.domain], config, NOW + timedelta(hours=2), asker({}, failing))
    assert set(states().values()) == {"OK"}


def test_a_second_key_has_a_record_of_its_own(world, config):
    world.domain.dkim_ed25519_private_key = dkim.generate_ed25519()
    [record] = [r for r in domains.records_to_publish(world.domain, config) if "Ed25519" in r.purpose]
    assert record.name == "postal-WTgXDd-ed25519._domainkey.example.test"
    assert record.value.startswith("v=DKIM1; k=ed25519;")


@pytest.mark.parametrize("right", [True, False])
def test_ownership(world, config, published, right):
    Domain.objects.update(verified_at=None)
    row = Domain.objects.get()
    found = published if right else {Question("example.test", "TXT"): ["postal-verification other"]}
    assert domains.verify(row, asker(found)([Question("example.test", "TXT")]), config, NOW) is right
    assert (Domain.objects.get().verified_at == NOW) is right


class TestSchedule:
    @pytest.fixture(autouse=True)
    def _checked_once(self, world):
        world.add_webhook()
        Domain.objects.update(dns_checked_at=NOW - timedelta(hours=2))

    def told(self):
        return [json.loads(bytes(row.body)) for row in WebhookRequest.objects.all()]

    def test_a_broken_domain_is_told_at_each_check(self, world, config):
        domains.check_all(config, NOW, asker({}))
        [event] = self.told()
        assert (event["event"], event["payload"]["domain"]) == ("DomainDNSError", "example.test")
        assert (event["payload"]["spf_status"], event["payload"]["dns_checked_at"]) == (
            "Missing",
            NOW.timestamp(),
        )
        domains.check_all(config, NOW + timedelta(minutes=59), asker({}))
        assert len(self.told()) == 1
        domains.check_all(config, NOW + timedelta(minutes=61), asker({}))
        assert len(self.told()) == 2

    def test_a_domain_in_order_is_not(self, world, config, published):
        domains.check_all(config, NOW, asker(published))
        assert self.told() == []

    def test_nor_is_one_of_an_organisation_or_one_that_nobody_checked(self, world, config):
        Domain.objects.update(server=None, organization=world.organization)
        Domain.objects.create(
            server=world.server, name="new.test", dkim_private_key=world.domain.dkim_private_key
        )
        domains.check_all(config, NOW, asker({}))
        assert self.told() == []
        assert Domain.objects.get(name="new.test").dns_checked_at is None

    def test_track_domains_are_always_checked(self, world, config):
        TrackDomain.objects.create(server=world.server, domain=world.domain)
        alias = {Question("click.example.test", "CNAME"): [f"{config.dns.track_domain}."]}
        domains.check_all(config, NOW, asker(alias))
        assert TrackDomain.objects.get().dns_status == "OK"
