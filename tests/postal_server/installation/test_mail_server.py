"""What the options make of the mail server, the first time and later."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from django.db import connection

from postal_server import conf
from postal_server.errors import ConfigurationError
from postal_server.installation import mail_server
from postal_server.installation.answers import Answers
from postal_server.installation.mail_server import State
from postal_server.mail import dkim
from postal_server.models import Domain, HTTPEndpoint, Organization, Route, Server, Webhook
from postal_server.rules.status import RouteMode
from postal_server.services.operations import provisioning
from postal_server.services.shared.loader import load

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
WEBHOOK = "https://user:pass@www.example.com/tracking/"
INBOUND = "https://user:pass@www.example.com/inbound/"


@pytest.fixture(autouse=True)
def configure(tmp_path, monkeypatch, recorded_key):
    monkeypatch.setattr(dkim, "generate_rsa", lambda bits=2048: recorded_key)

    def configure(mode):
        config = conf.parse(
            {
                "delivery": {"mode": mode, "allowlist": ["example.org"]},
                "postal": {"smtp_relays": ["a.example"]},
            },
            {},
            tmp_path,
        )
        monkeypatch.setattr(conf, "config", lambda: config)
        return config

    configure("mx")
    return configure


def make(*domains, webhook="", inbound="", **more):
    answers = Answers(domains=domains, webhook=webhook, inbound=inbound, **more)
    return mail_server.make(answers, conf.config(), NOW)


def sender(address):
    """The domain under which the mail server may send from this address, if it may."""
    directory = load()
    [server] = directory.servers.values()
    domain = directory.authorized_domain(server, address)
    return domain.name if domain else None


def test_the_first_mail_server_has_all_that_was_given():
    made = make("example.com", "example.org", webhook=WEBHOOK, inbound=INBOUND)
    assert str(made.server) == "example/main"
    assert load().api_credential(made.new.api_key) is not None
    assert [domain.name for domain in Domain.objects.order_by("id")] == ["example.com", "example.org"]
    assert Webhook.objects.get().url == WEBHOOK
    route = Route.objects.get()
    assert (str(route), route.http_endpoint.url) == ("reply@example.com", INBOUND)
    assert made.changes == (
        "domain example.com",
        "domain example.org",
        "webhook https://www.example.com/tracking/",
        "route reply@example.com to https://www.example.com/inbound/",
    )


def test_the_same_again_changes_nothing():
    make("example.com", webhook=WEBHOOK, inbound=INBOUND)
    for again in (make("example.com", webhook=WEBHOOK, inbound=INBOUND), make(), make("example.com")):
        assert (again.new, again.changes) == (None, ())
    assert [model.objects.count() for model in (Server, Domain, Webhook, HTTPEndpoint, Route)] == [1] * 5


@pytest.mark.parametrize("mode", ["mx", "relays", "allowlist"])
def test_where_mail_leaves_a_domain_sends_as_itself_only(configure, mode):
    configure(mode)
    make("example.com")
    assert sender("ceo@bank.example") is None
    assert sender("app@example.com") == "example.com"
    assert Domain.objects.get().use_for_any is False


def test_where_all_mail_is_caught_it_sends_as_anybody_and_not_in_production(configure):
    configure("catch")
    make("example.com")
    assert sender("ceo@bank.example") == "example.com"
    configure("mx")
    assert sender("ceo@bank.example") is None
    assert sender("app@example.com") == "example.com"


def test_a_domain_that_a_person_let_send_as_anybody_may_do_so_in_production(configure):
    configure("catch")
    make("example.com")
    Domain.objects.update(only_where_caught=False)
    configure("mx")
    assert sender("ceo@bank.example") == "example.com"


def test_a_domain_is_added_later():
    make("example.com")
    assert make("example.org").changes == ("domain example.org",)
    assert Domain.objects.count() == 2


def test_a_webhook_without_its_password_is_mended():
    make("example.com", webhook="https://www.example.com/tracking/")
    assert make(webhook=WEBHOOK).changes == (
        "webhook https://www.example.com/tracking/: another user or password",
    )
    assert Webhook.objects.get().url == WEBHOOK


def test_a_webhook_elsewhere_is_added_beside_the_other():
    make("example.com", webhook=WEBHOOK)
    made = make(webhook="https://user:pass@new.example.com/")
    assert made.changes == ("webhook https://new.example.com/, beside https://www.example.com/tracking/",)
    assert Webhook.objects.count() == 2


def test_a_route_comes_later_and_follows_another_url():
    make("example.com")
    assert make(inbound=INBOUND).changes == ("route reply@example.com to https://www.example.com/inbound/",)
    made = make(inbound="https://user:other@new.example.com/")
    assert made.changes == (
        "route reply@example.com to https://new.example.com/: instead of https://www.example.com/inbound/",
    )
    assert Route.objects.get().http_endpoint.url == "https://user:other@new.example.com/"


def test_what_a_person_has_otherwise_is_told_and_nothing_is_changed():
    make("example.com", webhook=WEBHOOK, inbound=INBOUND)
    Webhook.objects.update(enabled=False)
    Route.objects.update(mode=RouteMode.HOLD.value)
    other = provisioning.add_server(provisioning.organization("Other"), "Other").server
    provisioning.add_domain(other, "taken.example", NOW)
    with pytest.raises(ConfigurationError) as error:
        make("example.com", "taken.example", webhook=WEBHOOK, inbound="https://new.example.com/")
    said = str(error.value)
    assert "--domain: taken.example belongs to other/other already." in said
    assert "--webhook: the one to https://www.example.com/tracking/ is switched off." in said
    assert "--inbound: reply@example.com goes elsewhere than to a URL." in said
    assert "pass" not in said


def test_with_several_mail_servers_an_option_has_to_name_a_domain_of_one():
    make("example.com")
    provisioning.add_server(provisioning.organization("Other"), "Other")
    with pytest.raises(ConfigurationError, match="more than one"):
        make(webhook=WEBHOOK)
    assert make("example.com", webhook=WEBHOOK).changes != ()
    assert make().changes == ()


def test_no_mail_server_is_made_where_none_is_wanted_or_one_was():
    assert make(no_server=True).server is None
    Organization.objects.create(name="Imported", permalink="imported")
    assert make().server is None
    with pytest.raises(ConfigurationError, match="none here"):
        make("example.com")


def test_the_state_of_the_database(tmp_path):
    config = conf.config()
    assert not config.sqlite_file.exists()
    assert mail_server.look(config) == State()
    assert not config.sqlite_file.exists()
    config.sqlite_file.touch()  # what follows asks the tests' database
    assert mail_server.look(config) == State()
    make("example.com")
    assert mail_server.look(config) == State(is_used=True)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'auth'")
    assert mail_server.look(config) == State(is_used=True, is_outdated=True)


def test_what_is_to_be_refused_is_foreseen_unless_older_tables_cannot_tell():
    make("example.com", webhook=WEBHOOK)
    Webhook.objects.update(enabled=False)
    answers = Answers(domains=("example.com", "example.org"), webhook=WEBHOOK)
    with pytest.raises(ConfigurationError, match="is switched off"):
        mail_server.foreseen(answers, conf.config(), NOW)
    wanted = Answers(domains=("example.com", "example.org"))
    assert mail_server.foreseen(wanted, conf.config(), NOW) == ["domain example.org"]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE postal_server_webhook RENAME COLUMN enabled TO since")
    assert mail_server.foreseen(answers, conf.config(), NOW) == []
