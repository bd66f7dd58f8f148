"""`postal-server initialize`: what it makes, what it refuses, and what it prints to be copied."""

from __future__ import annotations

import ast
import io
import re

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from postal_server import conf
from postal_server.mail import dkim
from postal_server.models import Domain, HTTPEndpoint, Route, Webhook
from postal_server.services.shared.loader import load
from tests.each import each

pytestmark = pytest.mark.django_db
WEBHOOK = "http://user:p%40ss@127.0.0.1:8000/anymail/postal/tracking/"
INBOUND = "http://user:p%40ss@127.0.0.1:8000/anymail/postal/inbound/"


@pytest.fixture
def configured(tmp_path, monkeypatch, recorded_key):
    """Set the configuration: a development one with these changes."""
    monkeypatch.setattr(dkim, "generate_rsa", lambda bits=2048: recorded_key)
    (tmp_path / "signing.key").write_text(recorded_key)

    def set(mode="catch", **postal):
        groups = {
            "delivery": {"mode": mode},
            "postal": {"web_hostname": "localhost", "web_protocol": "http", **postal},
            "rails": {"secret_key": "s" * 40},
        }
        config = conf.parse(groups, {}, tmp_path, tmp_path / "postal.yml")
        monkeypatch.setattr(conf, "config", lambda: config)

    set()
    return set


def initialize(*words: str) -> str:
    out = io.StringIO()
    call_command("initialize", *words, stdout=out)
    return out.getvalue()


def sender(address: str) -> str | None:
    """The domain under which the first mail server may send from this address, if it may."""
    directory = load()
    [server] = directory.servers.values()
    domain = directory.authorized_domain(server, address)
    return domain.name if domain else None


def project(said: str) -> dict:
    """The settings that were printed, read as Python."""
    code = said[said.index("EMAIL_BACKEND") : said.index("Next:")]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(code).body}


def test_where_all_mail_is_caught_the_domain_may_send_as_anybody_and_says_so(configured):
    said = initialize("--domain", "example.test")
    assert "It may send as anybody, but only while all mail is caught here" in said
    assert sender("ceo@bank.example") == "example.test"


def test_in_production_the_domain_may_send_as_itself_only(configured):
    configured(mode="mx")
    said = initialize("--domain", "example.com")
    assert "It may send from addresses at example.com only." in said
    assert sender("ceo@bank.example") is None
    assert sender("app@example.com") == "example.com"
    assert Domain.objects.get().use_for_any is False


def test_a_domain_made_while_mail_was_caught_may_send_as_itself_only_in_production(configured):
    initialize("--domain", "example.com")
    configured(mode="mx")
    assert sender("ceo@bank.example") is None
    assert sender("app@example.com") == "example.com"


def test_a_domain_that_a_person_let_send_as_anybody_may_do_so_in_production(configured):
    initialize("--domain", "example.com")
    Domain.objects.update(only_where_caught=False)
    configured(mode="mx")
    assert sender("ceo@bank.example") == "example.com"


def test_it_prints_the_settings_of_a_project_and_the_next_commands(configured, tmp_path):
    said = initialize("--domain", "example.test", "--webhook", WEBHOOK, "--inbound", INBOUND)
    settings = project(said)
    assert settings["EMAIL_BACKEND"] == "anymail_postal.backend.EmailBackend"
    assert settings["DEFAULT_FROM_EMAIL"] == "hello@example.test"
    anymail = settings["ANYMAIL"]
    assert load().api_credential(anymail.pop("POSTAL_API_KEY")) is not None
    assert anymail == {
        "POSTAL_API_URL": "http://localhost:5000",
        "POSTAL_WEBHOOK_JWKS_URL": True,
        "WEBHOOK_SECRET": "user:p@ss",
        "POSTAL_REPLY_DOMAIN": "example.test",
    }
    assert f"postal-server --config {tmp_path / 'postal.yml'} run " in said
    assert "make-user  makes an administrator for http://localhost:5000/admin/" in said


def test_for_a_django_with_mailers_it_says_the_same_in_its_words(configured):
    [line] = re.findall(r"^# From Django 6\.1 on instead: MAILERS = (.*)", initialize(), re.MULTILINE)
    assert ast.literal_eval(line) == {"default": {"BACKEND": "anymail_postal.backend.EmailBackend"}}


def test_behind_a_proxy_with_tls_the_url_has_no_port(configured):
    configured(mode="mx", web_hostname="postal.example.com", web_protocol="https")
    said = initialize("--domain", "example.com")
    assert project(said)["ANYMAIL"]["POSTAL_API_URL"] == "https://postal.example.com"
    assert "https://postal.example.com/admin/" in said


def test_where_keys_cannot_be_fetched_the_key_itself_is_printed(configured, recorded_key):
    configured(web_hostname="mail.internal")
    anymail = project(initialize())["ANYMAIL"]
    assert anymail["POSTAL_WEBHOOK_KEY"] == dkim.public_record(dkim.SigningKey.load(recorded_key))
    assert "POSTAL_WEBHOOK_JWKS_URL" not in anymail


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Example.TEST", "example.test"),
        ("example.test.", "example.test"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
    ],
)
def test_a_domain_is_made_as_dns_knows_it(configured, given, name):
    initialize("--domain", given)
    assert Domain.objects.get().name == name


@each(
    "value",
    ["not a domain", "", "ann@example.com", "https://example.com", "-x.example", "a..b", "192.0.2.1"],
)
def test_what_is_no_domain_is_refused(configured, value):
    with pytest.raises(CommandError, match=r"--domain: .* is not a domain such as example\.com"):
        initialize(f"--domain={value}")
    assert not Domain.objects.exists()


@each("option", ["--webhook", "--inbound"])
@each(
    "value",
    [
        "htp:/foo",
        "www.example.com/hook",
        "http://",
        "https:///hook",
        "http://x:99999/",
        "http://a b/",
        "ftp://x/",
    ],
)
def test_what_is_no_url_is_refused(configured, option, value):
    with pytest.raises(CommandError, match=rf"{option}: .* is not a URL such as https://"):
        initialize(option, value)
    assert not Domain.objects.exists()


def test_run_again_with_the_same_options_it_changes_nothing(configured):
    words = ["--domain", "example.test", "--webhook", WEBHOOK, "--inbound", INBOUND]
    initialize(*words)
    assert initialize(*words) == initialize() == "The database is up to date.\n"
    assert [model.objects.count() for model in (Domain, Webhook, HTTPEndpoint)] == [1, 1, 1]
    assert Route.objects.filter(name="reply").count() == 1


def test_options_that_come_too_late_are_reported_instead_of_ignored(configured):
    initialize("--domain", "example.test", "--webhook", "http://127.0.0.1:8000/anymail/postal/tracking/")
    with pytest.raises(CommandError) as error:
        initialize("--domain", "other.test", "--webhook", WEBHOOK, "--inbound", INBOUND)
    said = str(error.value)
    assert "--domain: there is no domain other.test" in said
    assert "--webhook: no webhook has this URL" in said
    assert "--inbound: no route sends mail to this URL" in said
    assert "http://localhost:5000/admin/" in said
    assert "p%40ss" not in said


def test_options_of_a_server_that_is_not_wanted_are_refused(configured):
    with pytest.raises(CommandError, match="--no-server"):
        initialize("--no-server", "--domain", "example.test")
