"""What the fixture makes of the project's settings. What it does with a server: `tests/end_to_end`."""

from __future__ import annotations

import pytest

from postal_server import testing
from postal_server.testing import MailServer

URL = "http://127.0.0.1:5000"
MADE = {
    "id": 1,
    "token": "abc",
    "api_key": "the key",
    "smtp_key": "x",
    "domain": "one.test",
    "dkim_name": "",
    "dkim_record": "",
}


class Running:
    """A server that remembers what it is asked for."""

    url = URL
    smtp_port = 2525

    def __init__(self):
        self.asked = []

    def control(self, method, path, body=None, timeout=30.0):
        self.asked.append((method, path, body))
        return {"address": f"{(body or {}).get('name')}@one.test"}


@pytest.fixture
def running():
    return Running()


@pytest.fixture
def postal(running):
    return MailServer(running, MADE, "v=DKIM1; p=abc")


OURS = {
    "POSTAL_API_URL": URL,
    "POSTAL_API_KEY": "the key",
    "POSTAL_WEBHOOK_KEY": "v=DKIM1; p=abc",
    "POSTAL_REPLY_DOMAIN": "one.test",
}


@pytest.mark.parametrize("anymail", [None, {}])
def test_a_project_without_settings_gets_what_it_needs(postal, settings, anymail):
    settings.ANYMAIL = anymail
    assert postal.settings["ANYMAIL"] == OURS
    assert postal.settings["DEFAULT_FROM_EMAIL"] == "app@one.test"


def test_the_projects_own_settings_stay(postal, settings):
    own = {"POSTAL_STRIP_REPLIES": True, "WEBHOOK_SECRET": "user:password", "SEND_DEFAULTS": {"tags": ["a"]}}
    settings.ANYMAIL = {**own, "POSTAL_API_URL": "https://postal.example.com", "POSTAL_API_KEY": "real"}
    assert postal.settings["ANYMAIL"] == {**own, **OURS}
    assert settings.ANYMAIL["POSTAL_API_KEY"] == "real"


def test_nothing_of_the_project_leads_to_a_real_server(postal, settings):
    settings.ANYMAIL = {
        "POSTAL_WEBHOOK_JWKS_URL": True,
        "POSTAL_SERVERS": {"eu": {"api_key": "real", "api_url": "https://eu.example.com", "retries": 1}},
        "POSTAL_SERVER_REGISTRY": "project.servers",
    }
    anymail = postal.settings["ANYMAIL"]
    assert anymail["POSTAL_WEBHOOK_JWKS_URL"] is anymail["POSTAL_SERVER_REGISTRY"] is None
    assert anymail["POSTAL_SERVERS"] == {
        "eu": {
            "api_key": "the key",
            "api_url": URL,
            "webhook_key": "v=DKIM1; p=abc",
            "webhook_jwks_url": None,
            "reply_domain": "one.test",
            "retries": 1,
        }
    }


def test_settings_that_stand_alone_are_known_too(postal, settings):
    settings.ANYMAIL = {}
    settings.ANYMAIL_POSTAL_WEBHOOK_JWKS_URL = "https://postal.example.com/keys"
    settings.ANYMAIL_WEBHOOK_SECRET = "user:password"
    assert postal.settings["ANYMAIL"]["POSTAL_WEBHOOK_JWKS_URL"] is None
    assert testing._with_secret("http://x.test/") == "http://user:password@x.test/"


@pytest.mark.parametrize(
    ("secret", "url", "posted_to"),
    [
        (None, "http://127.0.0.1:1/in/", "http://127.0.0.1:1/in/"),
        ("user:p@ss:w/rd", "http://127.0.0.1:1/in/", "http://user:p%40ss%3Aw%2Frd@127.0.0.1:1/in/"),
        (["new:one", "old:one"], "http://127.0.0.1:1/in/", "http://new:one@127.0.0.1:1/in/"),
        ("user:password", "http://own:secret@127.0.0.1:1/in/", "http://own:secret@127.0.0.1:1/in/"),
        ("user:password", "http://[::1]:1/in/?a=b", "http://user:password@[::1]:1/in/?a=b"),
    ],
)
def test_posts_carry_the_projects_secret(postal, running, settings, secret, url, posted_to):
    settings.ANYMAIL = {"WEBHOOK_SECRET": secret} if secret else {}
    postal.post_events_to(url)
    postal.post_mail_to(url)
    assert [body["url"] for _, _, body in running.asked] == [posted_to, posted_to]


@pytest.mark.parametrize(
    ("anymail", "given", "name"),
    [
        ({}, {}, "reply"),
        ({"POSTAL_REPLY_LOCAL_PART": "inbox"}, {}, "inbox"),
        ({"POSTAL_REPLY_LOCAL_PART": "inbox"}, {"name": "support"}, "support"),
    ],
)
def test_the_route_is_called_as_the_project_calls_it(postal, settings, anymail, given, name):
    settings.ANYMAIL = anymail
    assert postal.post_mail_to("http://127.0.0.1:1/in/", **given) == f"{name}@one.test"


def test_a_server_for_tests_does_not_heed_the_configuration_of_the_environment(monkeypatch):
    for name in ("DELIVERY_MODE", "STORAGE_URL", "SMTP_PASSWORD_FILE", "PORT"):
        monkeypatch.setenv(name, "mx")
    monkeypatch.setenv("OTHER", "kept")
    running = testing.RunningServer(variables={"DELIVERY_MODE": "allowlist"})
    found = running._environment()
    assert found["OTHER"] == "kept"
    assert found["DELIVERY_MODE"] == "allowlist"
    assert not {"STORAGE_URL", "SMTP_PASSWORD_FILE", "PORT"} & set(found)
    running.stop()
