import json
from datetime import timedelta

import pytest

from postal_server.mail import dkim
from postal_server.models import Domain, TrackDomain, WebhookRequest
from postal_server.services.operations import domain_checks, provisioning
from postal_server.services.shared.dns_questions import Question
from postal_server.services.shared.loader import load
from tests.each import each
from tests.postal_server.services.conftest import NOW


@pytest.fixture
def published(world, config):
    """The answers of a DNS that has everything that the domain must publish."""
    found = {}
    for record in domain_checks.records_to_publish(world.domain, config):
        found.setdefault(Question(record.name, record.kind), []).append(record.value)
    return found


def asker(found, failing=()):
    """A DNS with these records whose name servers fail for some names."""
    return lambda questions: {q: None if q.name in failing else found.get(q, []) for q in questions}


def states():
    row = Domain.objects.get()
    return {name: getattr(row, f"{name}_status") for name in domain_checks.CHECKS}


def test_what_is_published_is_in_order(world, config, published):
    domain_checks.check([world.domain], config, NOW, asker(published))
    assert set(states().values()) == {"OK"}
    assert domain_checks.is_fine(Domain.objects.get())
    assert Domain.objects.get().dns_checked_at == NOW


def test_what_is_not_published_is_missing(world, config):
    domain_checks.check([world.domain], config, NOW, asker({}))
    assert set(states().values()) == {"Missing"}
    assert not domain_checks.is_fine(Domain.objects.get())
    assert Domain.objects.get().dkim_error == (
        "No TXT records were returned for postal-WTgXDd._domainkey.example.test"
    )


def test_a_name_server_that_fails_changes_nothing(world, config, published):
    domain_checks.check([world.domain], config, NOW, asker(published))
    failing = {question.name for question in published}
    domain_checks.check([world.domain], config, NOW + timedelta(hours=2), asker({}, failing))
    assert set(states().values()) == {"OK"}


def doubled(config):
    """A second record beside each that must be one, by what the administration calls them."""
    name = "example.test"
    return {
        "spf": (Question(name, "TXT"), "v=spf1 -all"),
        "dkim": (Question(domain_checks.dkim_name(Domain.objects.get(), config), "TXT"), "v=DKIM1; p=AAAA"),
        "return_path": (Question(f"psrp.{name}", "CNAME"), "elsewhere.example"),
        "Ownership": (Question(name, "TXT"), "postal-verification another"),
        "DMARC": (Question(f"_dmarc.{name}", "TXT"), "v=DMARC1; p=none"),
        "MTA-STS": (Question(f"_mta-sts.{name}", "TXT"), "v=STSv1; id=1"),
        "TLS report": (Question(f"_smtp._tls.{name}", "TXT"), "v=TLSRPTv1; rua=mailto:a@b.example"),
    }


@pytest.mark.parametrize(
    "what", ["spf", "dkim", "return_path", "Ownership", "DMARC", "MTA-STS", "TLS report"]
)
def test_second_record_of_what_must_be_one_is_an_error(world, config, published, what):
    question, value = doubled(config)[what]
    published.setdefault(Question("_dmarc.example.test", "TXT"), ["v=DMARC1; p=reject"])
    published.setdefault(Question("_mta-sts.example.test", "TXT"), ["v=STSv1; id=2"])
    published.setdefault(Question("_smtp._tls.example.test", "TXT"), ["v=TLSRPTv1; rua=mailto:x@y.example"])
    domain_checks.check([world.domain], config, NOW, asker(published))
    assert Domain.objects.get().dns_problems == {}
    published[question] = [*published[question], value]
    domain_checks.check([world.domain], config, NOW, asker(published))
    row = Domain.objects.get()
    wrong = {name: getattr(row, f"{name}_error") for name in domain_checks.CHECKS} | row.dns_problems
    assert "should only be one" in wrong.pop(what)
    assert not any(wrong.values())
    published[question] = published[question][:1]
    domain_checks.check([row], config, NOW, asker(published))
    assert Domain.objects.get().dns_problems == {}


def test_second_record_of_the_second_key_is_an_error(world, config, published):
    world.domain.dkim_ed25519_private_key = dkim.generate_ed25519()
    world.domain.save()
    [record] = [r for r in domain_checks.records_to_publish(world.domain, config) if "Ed25519" in r.purpose]
    published[Question(record.name, "TXT")] = [record.value, "v=DKIM1; k=ed25519; p=AAAA"]
    domain_checks.check([world.domain], config, NOW, asker(published))
    assert list(Domain.objects.get().dns_problems) == ["DKIM (Ed25519)"]


def test_second_alias_of_a_tracking_domain_is_an_error(world, config):
    track = TrackDomain.objects.create(server=world.server, domain=world.domain)
    aliases = {Question("click.example.test", "CNAME"): [config.dns.track_domain, "elsewhere.example"]}
    domain_checks.check([world.domain], config, NOW, asker(aliases))
    track.refresh_from_db()
    assert (track.dns_status, track.dns_error) == (
        "Invalid",
        "There are 2 records at click.example.test. There should only be one.",
    )


def test_problem_stays_while_name_servers_fail(world, config, published):
    published[Question("_dmarc.example.test", "TXT")] = ["v=DMARC1; p=none"] * 2
    domain_checks.check([world.domain], config, NOW, asker(published))
    domain_checks.check([world.domain], config, NOW, asker(published, {"_dmarc.example.test"}))
    assert list(Domain.objects.get().dns_problems) == ["DMARC"]


def test_state_that_was_never_looked_up_is_unknown(world, config):
    made = provisioning.add_domain(world.server, "new.test", NOW, private_key=world.domain.dkim_private_key)
    assert {getattr(made, f"{name}_status") for name in domain_checks.CHECKS} == {""}
    assert made.dns_checked_at is None
    assert not domain_checks.is_fine(made)


@each(
    "status, unchecked, signs",
    [
        ("", True, True),
        ("", False, False),
        ("OK", False, True),
        ("Missing", True, False),
        ("Invalid", True, False),
    ],
)
def test_key_is_used_as_dns_has_it_or_where_dns_was_not_asked(world, status, unchecked, signs):
    Domain.objects.update(dkim_status=status, signs_unchecked=unchecked)
    [entry] = load().domains.values()
    assert entry.is_signing is signs


def test_a_second_key_has_a_record_of_its_own(world, config):
    world.domain.dkim_ed25519_private_key = dkim.generate_ed25519()
    [record] = [r for r in domain_checks.records_to_publish(world.domain, config) if "Ed25519" in r.purpose]
    assert record.name == "postal-WTgXDd-ed25519._domainkey.example.test"
    assert record.value.startswith("v=DKIM1; k=ed25519;")


@pytest.mark.parametrize("right", [True, False])
def test_ownership(world, config, published, right):
    Domain.objects.update(verified_at=None)
    row = Domain.objects.get()
    found = published if right else {Question("example.test", "TXT"): ["postal-verification other"]}
    assert domain_checks.verify(row, asker(found)([Question("example.test", "TXT")]), config, NOW) is right
    assert (Domain.objects.get().verified_at == NOW) is right


class TestSchedule:
    @pytest.fixture(autouse=True)
    def _checked_once(self, world):
        world.add_webhook()
        Domain.objects.update(dns_checked_at=NOW - timedelta(hours=2))

    def events(self):
        return [json.loads(bytes(row.body)) for row in WebhookRequest.objects.all()]

    def test_a_broken_domain_is_reported_at_each_check(self, world, config):
        domain_checks.check_all(config, NOW, asker({}))
        [event] = self.events()
        assert (event["event"], event["payload"]["domain"]) == ("DomainDNSError", "example.test")
        assert (event["payload"]["spf_status"], event["payload"]["dns_checked_at"]) == (
            "Missing",
            NOW.timestamp(),
        )
        domain_checks.check_all(config, NOW + timedelta(minutes=59), asker({}))
        assert len(self.events()) == 1
        domain_checks.check_all(config, NOW + timedelta(minutes=61), asker({}))
        assert len(self.events()) == 2

    def test_a_domain_in_order_is_not(self, world, config, published):
        domain_checks.check_all(config, NOW, asker(published))
        assert self.events() == []

    def test_nor_is_one_of_an_organization_or_an_unchecked_one(self, world, config):
        Domain.objects.update(server=None, organization=world.organization)
        Domain.objects.create(
            server=world.server, name="new.test", dkim_private_key=world.domain.dkim_private_key
        )
        domain_checks.check_all(config, NOW, asker({}))
        assert self.events() == []
        assert Domain.objects.get(name="new.test").dns_checked_at is None

    def test_track_domains_are_always_checked(self, world, config):
        TrackDomain.objects.create(server=world.server, domain=world.domain)
        alias = {Question("click.example.test", "CNAME"): [f"{config.dns.track_domain}."]}
        domain_checks.check_all(config, NOW, asker(alias))
        assert TrackDomain.objects.get().dns_status == "OK"
