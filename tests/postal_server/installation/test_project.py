"""The settings that are printed, read as Python."""

from __future__ import annotations

import ast
import re
from datetime import datetime, timezone

import pytest

from postal_server import conf
from postal_server.installation import mail_server, project
from postal_server.installation.answers import Answers
from postal_server.mail import dkim

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
WEBHOOK = "http://user:p%40ss@127.0.0.1:8000/anymail/postal/tracking/"
INBOUND = "http://user:p%40ss@127.0.0.1:8000/anymail/postal/inbound/"


@pytest.fixture
def printed(tmp_path, monkeypatch, recorded_key):
    """The settings for a mail server with these options, as a project would have them, and their text."""
    monkeypatch.setattr(dkim, "generate_rsa", lambda bits=2048: recorded_key)
    (tmp_path / "signing.key").write_text(recorded_key)

    def printed(*, host="localhost", protocol="http", domain="example.test", **options):
        groups = {"postal": {"web_hostname": host, "web_protocol": protocol}}
        config = conf.parse(groups, {}, tmp_path)
        monkeypatch.setattr(conf, "config", lambda: config)
        made = mail_server.make(Answers(domains=(domain,), **options), config, NOW)
        text = project.settings(config, made.server, domain, made.new.api_key if made.new else "")
        code = text[text.index("EMAIL_BACKEND") :]
        return {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(code).body}, text

    return printed


def test_they_fit_the_mail_server(printed):
    settings, _ = printed(webhook=WEBHOOK, inbound=INBOUND)
    assert settings["EMAIL_BACKEND"] == "anymail_postal.backend.EmailBackend"
    assert settings["DEFAULT_FROM_EMAIL"] == "hello@example.test"
    assert len(settings["ANYMAIL"].pop("POSTAL_API_KEY")) == 24
    assert settings["ANYMAIL"] == {
        "POSTAL_API_URL": "http://localhost:5000",
        "POSTAL_WEBHOOK_JWKS_URL": True,
        "WEBHOOK_SECRET": "user:p@ss",
        "POSTAL_REPLY_DOMAIN": "example.test",
    }


def test_the_secret_fits_every_url_that_is_posted_to(printed):
    printed(webhook=WEBHOOK)
    settings, _ = printed(inbound="https://other:word@www.example.com/")
    assert settings["ANYMAIL"]["WEBHOOK_SECRET"] == ["user:p@ss", "other:word"]
    assert settings["ANYMAIL"]["POSTAL_API_KEY"] == project.KNOWN_KEY


def test_the_domain_of_replies_is_that_of_the_sender_where_it_has_a_route(printed):
    printed(inbound=INBOUND)
    later = {
        name: printed(domain=name, inbound=inbound)[0]
        for name, inbound in (("second.test", INBOUND), ("third.test", ""))
    }
    assert later["second.test"]["DEFAULT_FROM_EMAIL"] == "hello@second.test"
    assert later["second.test"]["ANYMAIL"]["POSTAL_REPLY_DOMAIN"] == "second.test"
    assert later["third.test"]["ANYMAIL"]["POSTAL_REPLY_DOMAIN"] == "example.test"


def test_a_url_without_a_password_needs_no_secret(printed):
    settings, _ = printed(webhook="https://www.example.com/")
    assert "WEBHOOK_SECRET" not in settings["ANYMAIL"]
    assert "POSTAL_REPLY_DOMAIN" not in settings["ANYMAIL"]


def test_for_a_django_with_mailers_it_says_the_same_in_its_words(printed):
    [line] = re.findall(r"^# From Django 6\.1 on instead: MAILERS = (.*)", printed()[1], re.MULTILINE)
    assert ast.literal_eval(line) == {"default": {"BACKEND": "anymail_postal.backend.EmailBackend"}}


def test_behind_a_proxy_with_tls_the_url_has_no_port(printed):
    settings, _ = printed(host="postal.example.com", protocol="https")
    assert settings["ANYMAIL"]["POSTAL_API_URL"] == "https://postal.example.com"


def test_where_keys_cannot_be_fetched_the_key_itself_is_printed(printed, recorded_key):
    anymail = printed(host="mail.internal")[0]["ANYMAIL"]
    assert anymail["POSTAL_WEBHOOK_KEY"] == dkim.public_record(dkim.SigningKey.load(recorded_key))
    assert "POSTAL_WEBHOOK_JWKS_URL" not in anymail


def test_mail_is_handed_in_on_the_port_for_submission(tmp_path):
    for ports, port in (({"default_port": 2525}, 2525), ({"default_port": 25, "submission_port": 587}, 587)):
        config = conf.parse({"smtp_server": ports}, {}, tmp_path)
        assert project.submission_port(config) == port
