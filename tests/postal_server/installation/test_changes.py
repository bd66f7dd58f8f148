"""What becomes of the configuration file, by mode and options."""

from __future__ import annotations

import pytest

from postal_server import conf
from postal_server.errors import ConfigurationError
from postal_server.installation import changes
from postal_server.installation.answers import Answers
from postal_server.installation.configuration_file import ConfigurationFile
from postal_server.installation.modes import Mode
from tests.each import each

from .development import write_configuration

HOST, SMTP = "postal.example.com", "mx.postal.example.com"
PRODUCTION = {
    "mode": Mode.PRODUCTION,
    "hostname": HOST,
    "smtp_hostname": SMTP,
    "domains": ("example.org", "example.net"),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "postal.yml"


@pytest.fixture
def plan(path):
    """What these options lead to; `write` puts it in place."""

    def plan(*, write=True, environ=None, **options):
        environ = environ or {}
        planned = changes.plan(Answers(**options), ConfigurationFile(path, environ), environ)
        if write:
            path.write_text(planned.text)
        return planned

    return plan


def test_development_is_on_loopback_and_keeps_all_mail(plan):
    config = plan().config
    assert config.warnings == ()
    assert config.delivery.mode == "catch"
    assert config.web_server.default_bind_address == config.smtp_server.default_bind_address == "127.0.0.1"
    assert (config.web_server.default_port, config.smtp_server.default_port) == (5000, 2525)
    assert config.postal.allowed_request_destinations == ("127.0.0.0/8", "::1/128")


def test_production_sends_and_lists_no_loopback(plan):
    config = plan(**PRODUCTION).config
    assert config.warnings == ()
    assert config.delivery.mode == "mx"
    assert config.postal.allowed_request_destinations == ()
    assert (config.postal.web_hostname, config.postal.web_protocol) == (HOST, "https")
    assert config.postal.smtp_hostname == SMTP
    assert config.dns.mx_records == (SMTP,)
    assert config.dns.return_path_domain == f"rp.{HOST}"
    assert (config.smtp_server.default_bind_address, config.smtp_server.default_port) == ("::", 25)
    assert config.plaintext_auth is False


@each("mode", [Mode.STAGING, Mode.PRODUCTION])
def test_notices_come_from_the_first_domain(mode, plan):
    assert plan(**PRODUCTION | {"mode": mode}, write=False).config.smtp.from_address == "postal@example.org"


def test_without_a_domain_the_sender_of_notices_is_left_to_the_person(plan, path):
    plan(**PRODUCTION | {"domains": ()})
    assert "from_address" not in path.read_text()
    plan(**PRODUCTION)
    path.write_text(path.read_text().replace("postal@example.org", "ann@example.org"))
    planned = plan(**PRODUCTION | {"domains": ("example.net",)})
    assert planned.config.smtp.from_address == "ann@example.org"
    assert not any("from_address" in line for line in (*planned.changes, *planned.kept))


def test_production_with_a_relay(plan):
    relay = "smtp://user:pass@smtp.example.com:587"
    config = plan(**PRODUCTION, relays=(relay,)).config
    assert (config.delivery.mode, config.postal.smtp_relays) == ("relays", (relay,))


def test_staging_sends_to_those_of_the_list(plan):
    config = plan(**{**PRODUCTION, "mode": Mode.STAGING}, allow=("ann@example.com", "example.org")).config
    assert (config.delivery.mode, config.delivery.allowlist) == (
        "allowlist",
        ("ann@example.com", "example.org"),
    )


def test_the_same_options_again_change_nothing(plan, path):
    for options in (
        {},
        {
            **PRODUCTION,
            "relays": ("smtp://a.example",),
            "database": "postgresql://u:p@h/n",
            "smtp_port": 2587,
        },
        {**PRODUCTION, "mode": Mode.STAGING, "allow": ("example.org",), "mx": True, "smtp_port": 2587},
        {**PRODUCTION, "certificate": "/a.pem", "key": "/b.pem", "webhook": "http://127.0.0.1/"},
    ):
        path.unlink(missing_ok=True)
        first = plan(**options)
        second = plan(**options)
        assert (second.text, second.changes) == (first.text, ())


def test_a_file_without_options_stays_as_it_is(plan, path):
    for text in ("", "version: 2\n", "version: 2\nrails: {secret_key: abc}\n", "web:\n  host: a.example\n"):
        path.write_text(text)
        assert plan().text == text


def test_from_development_to_production_nothing_of_development_stays(plan):
    plan()
    planned = plan(**PRODUCTION)
    assert "localhost" not in planned.text
    assert planned.config.delivery.mode == "mx"
    assert planned.config.postal.allowed_request_destinations == ()
    assert planned.config.plaintext_auth is False
    assert planned.config.smtp_server.default_bind_address == "::"
    assert "postal.web_hostname: postal.example.com instead of localhost" in planned.changes
    assert "delivery.mode: mx instead of catch" in planned.changes


def test_what_a_person_set_stays_and_what_was_not_set_is_added(plan, path):
    path.write_text("version: 2\nsmtp_server:\n  default_port: 2587  # behind the firewall\n")
    planned = plan(**PRODUCTION)
    assert "  default_port: 2587  # behind the firewall\n" in planned.text
    assert planned.config.smtp_server.default_bind_address == "::"


def test_names_in_dns_stay_and_are_told_when_the_host_name_changes(plan):
    plan(**PRODUCTION)
    planned = plan(hostname="mail.example.com")
    assert planned.changes == ("postal.web_hostname: mail.example.com instead of postal.example.com",)
    assert planned.config.dns.return_path_domain == f"rp.{HOST}"
    assert any(
        line.startswith(f"dns.return_path_domain stays rp.{HOST}, not rp.mail.example.com")
        for line in planned.kept
    )


def test_passwords_are_not_told(plan):
    plan(**PRODUCTION, database="postgresql://u:secret@h/n", relays=("smtp://u:secret@a.example",))
    planned = plan(database="postgresql://u:secret2@h2/n", relays=("smtp://u:secret2@b.example",))
    assert planned.changes == (
        "storage.url: postgresql://h2/n instead of postgresql://h/n",
        "postal.smtp_relays: smtp://b.example instead of smtp://a.example",
    )
    assert "secret" not in repr(planned.changes)


def test_relays_go_with_mx_and_come_with_relay(plan):
    plan(**PRODUCTION, relays=("smtp://a.example",))
    planned = plan(mx=True)
    assert (planned.config.delivery.mode, planned.config.postal.smtp_relays) == ("mx", ())
    assert "smtp_relays:" not in planned.text
    assert plan(relays=("smtp://b.example",)).config.delivery.mode == "relays"
    assert plan(**PRODUCTION).config.delivery.mode == "relays"


def test_allow_adds_to_the_list(plan):
    plan(**{**PRODUCTION, "mode": Mode.STAGING}, allow=("a.example",))
    assert plan(allow=("b.example", "a.example")).config.delivery.allowlist == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://www.example.com/", ()),
        ("http://127.0.0.1:8000/", ("127.0.0.1",)),
        ("http://localhost:8000/", ("localhost",)),
        ("http://10.0.0.5/", ("10.0.0.5",)),
        ("http://app:8000/", ("app",)),
    ],
)
def test_in_production_only_the_private_host_of_a_given_url_is_listed(plan, url, hosts):
    plan()
    planned = plan(**PRODUCTION, webhook=url)
    assert planned.config.postal.allowed_request_destinations == hosts
    again = plan(**PRODUCTION)
    assert again.config.postal.allowed_request_destinations == hosts
    assert again.changes == again.kept == ()


def test_in_development_another_private_host_is_added(plan):
    assert plan(webhook="http://localhost:8000/").config.postal.allowed_request_destinations == (
        "127.0.0.0/8",
        "::1/128",
    )
    assert plan(inbound="http://app:8000/").config.postal.allowed_request_destinations[-1] == "app"


def test_an_option_that_the_environment_overrules_is_refused(plan):
    environ = {"STORAGE_URL": "sqlite:////x"}
    with pytest.raises(ConfigurationError, match="--database: the environment variable STORAGE_URL says"):
        plan(environ=environ, database="postgresql://h/n")
    assert plan(environ=environ, database="sqlite:////x").config.storage.url == "sqlite:////x"


def test_names_from_the_environment_count_as_chosen(path):
    write_configuration(path)
    file = ConfigurationFile(path, {"POSTAL_WEB_HOSTNAME": "mail.example.com"})
    assert file.chosen("postal.web_hostname") == "mail.example.com"
    assert file.chosen("postal.smtp_hostname") is None


def test_a_written_file_is_read_as_it_was_planned(plan, path):
    planned = plan(**PRODUCTION, database="postgresql://u:p%40@h/n")
    assert conf.load(path, {}) == planned.config


def test_what_a_key_of_the_file_needs_may_be_in_the_environment(plan, path):
    path.write_text("version: 2\ndelivery: {mode: relays}\n")
    environ = {"POSTAL_SMTP_RELAYS": "smtp://relay.example"}
    assert plan(environ=environ, web_port=5001).config.delivery.mode == "relays"
    with pytest.raises(ConfigurationError, match=r"relays needs postal\.smtp_relays"):
        plan()


def test_relays_of_the_environment_decide_on_the_mode(plan):
    plan()
    planned = plan(environ={"POSTAL_SMTP_RELAYS": "smtp://relay.example"}, **PRODUCTION)
    assert planned.config.delivery.mode == "relays"
    assert planned.config.postal.smtp_relays == ("smtp://relay.example",)
    assert "relay.example" not in planned.text


def test_production_is_not_what_the_environment_keeps_from_sending(plan):
    plan(**PRODUCTION)
    with pytest.raises(
        ConfigurationError, match=r"^--production: the environment variable DELIVERY_MODE says"
    ):
        plan(environ={"DELIVERY_MODE": "catch"}, **PRODUCTION)
    environ = {"DELIVERY_MODE": "relays", "POSTAL_SMTP_RELAYS": "smtp://relay.example"}
    assert plan(environ=environ, **PRODUCTION).changes == ()
