"""Settings: where each value comes from, and how problems are reported."""

from __future__ import annotations

from typing import Any

import django.core.mail
import pytest
from anymail.exceptions import AnymailConfigurationError, AnymailInvalidMailer

from anymail_postal import conf
from anymail_postal.backend import EmailBackend
from anymail_postal.errors import UnknownServer
from tests.each import each

BACKEND = "anymail_postal.backend.EmailBackend"
needs_mailers = pytest.mark.skipif(
    not hasattr(django.core.mail, "mailers"), reason="MAILERS came with Django 6.1"
)


class SubclassedBackend(EmailBackend):
    pass


def no_backend() -> None:
    pass


def registry(name: str) -> dict[str, Any] | None:
    return {"api_key": f"key of {name}"} if name.startswith("tenant") else None


# --- the table ---


def test_every_setting_of_the_table_is_an_attribute() -> None:
    assert len(conf.SETTINGS) == 36
    config = conf.server(api_key="k", api_url="https://p.test")
    for setting in conf.SERVER_SETTINGS:
        assert setting.name == f"POSTAL_{setting.attribute.upper()}"
        assert getattr(conf.ServerConfig, setting.attribute) is setting
        getattr(config, setting.attribute)
    assert {setting.attribute for setting in conf.SETTINGS if setting.scope == "global"} == {
        "servers",
        "server_registry",
    }


@each("setting", conf.SETTINGS, ids=lambda setting: setting.name)
def test_the_default_of_every_setting_is_good_and_explained(setting: conf.Setting[Any]) -> None:
    setting.read(setting.default)
    assert setting.says.endswith(".")
    assert setting.values
    assert setting.check.startswith("E0")


def test_a_bad_value_harms_only_what_uses_it(settings: Any) -> None:
    settings.ANYMAIL = {"POSTAL_REPLY_LANGUAGES": "english", "POSTAL_API_KEY": "k"}
    assert conf.server().api_key == "k"


def test_a_config_cannot_be_changed() -> None:
    config = conf.server()
    with pytest.raises(AttributeError):
        config.api = "raw"  # type: ignore[misc]
    assert repr(config) == "<ServerConfig 'default'>"


# --- where values come from ---


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"ANYMAIL": {"POSTAL_API_KEY": "a"}, "ANYMAIL_POSTAL_API_KEY": "b", "POSTAL_API_KEY": "c"}, "a"),
        ({"ANYMAIL": {}, "ANYMAIL_POSTAL_API_KEY": "b", "POSTAL_API_KEY": "c"}, "b"),
        ({"POSTAL_API_KEY": "c"}, "c"),
        ({}, None),
    ],
    ids=["anymail", "root", "bare", "nowhere"],
)
def test_the_order_of_the_flat_settings(settings: Any, written: dict[str, Any], expected: str | None) -> None:
    for name, value in written.items():
        setattr(settings, name, value)
    assert conf.server().api_key == expected


@each("setting", conf.SETTINGS, ids=lambda setting: setting.name)
def test_root_level_settings_are_honoured_for_every_setting(
    settings: Any, setting: conf.Setting[Any]
) -> None:
    value = object()
    settings.ANYMAIL = {"SEND_DEFAULTS": {}}
    setattr(settings, f"ANYMAIL_{setting.name}", value)
    assert conf.find(setting) == (setting.name, value)


@each("setting", conf.SETTINGS, ids=lambda setting: setting.name)
def test_bare_names_count_for_the_two_keys_only(settings: Any, setting: conf.Setting[Any]) -> None:
    settings.ANYMAIL = {}
    setattr(settings, setting.name, "bare")
    found = conf.find(setting)[1]
    assert (found == "bare") == (setting.name in ("POSTAL_API_KEY", "POSTAL_WEBHOOK_KEY"))


def test_basic_auth_is_anymails_unless_the_server_has_its_own(settings: Any) -> None:
    settings.ANYMAIL = {"WEBHOOK_SECRET": ["a:b"], "POSTAL_SERVERS": {"eu": {"webhook_secret": "c:d"}}}
    assert conf.server().webhook_secret == ("a:b",)
    assert conf.server("eu").webhook_secret == ("c:d",)
    settings.ANYMAIL = {}
    assert conf.server().webhook_secret == ()


def test_named_servers_inherit_the_flat_settings(settings: Any) -> None:
    settings.ANYMAIL = {
        "POSTAL_API_URL": "https://p.test",
        "POSTAL_API": "raw",
        "POSTAL_SERVERS": {"eu": {"api_key": "eu", "api": "message"}},
        "POSTAL_SERVER_REGISTRY": f"{__name__}.registry",
    }
    config = conf.server("eu", retries=5)
    assert (config.name, config.api_key, config.api_url) == ("eu", "eu", "https://p.test")
    assert (config.api, config.retries) == ("message", 5)
    assert conf.server("tenant-7").api_key == "key of tenant-7"
    assert conf.server("tenant-7").api == "raw"
    assert conf.server_names() == ["default", "eu"]


def test_the_listed_server_goes_before_the_registry(settings: Any) -> None:
    settings.ANYMAIL = {
        "POSTAL_SERVERS": {"tenant-1": {"api_key": "listed"}},
        "POSTAL_SERVER_REGISTRY": f"{__name__}.registry",
    }
    assert conf.server("tenant-1").api_key == "listed"
    assert conf.server("tenant-1", api_key="argument").api_key == "argument"


def test_unknown_servers_are_an_error_of_their_own(settings: Any) -> None:
    settings.ANYMAIL = {"POSTAL_SERVER_REGISTRY": f"{__name__}.registry"}
    with pytest.raises(UnknownServer, match="'us'"):
        conf.server("us", api_key="an argument does not make it known")


@each("name", ["", "tenant 1", "tenant\0", "Tenant", "tenant/../1", "tenant-é"])
def test_a_registry_is_asked_for_possible_names_only(settings: Any, name: str) -> None:
    settings.ANYMAIL = {"POSTAL_SERVER_REGISTRY": f"{__name__}.registry"}
    with pytest.raises(UnknownServer):
        conf.server(name)


@each(
    "written, check",
    [
        ({"POSTAL_SERVERS": []}, "E004"),
        ({"POSTAL_SERVERS": {"EU": {}}}, "E004"),
        ({"POSTAL_SERVERS": {5: {}}}, "E004"),
        ({"POSTAL_SERVERS": {"eu": []}}, "E004"),
        ({"POSTAL_SERVER_REGISTRY": "no.such.callable"}, "E005"),
    ],
    ids=["list", "upper-case", "int", "no-dict", "registry"],
)
def test_servers_of_a_wrong_shape(settings: Any, written: dict[str, Any], check: str) -> None:
    settings.ANYMAIL = written
    with pytest.raises(AnymailConfigurationError):
        conf.server("eu")
    (problem,) = conf.problems()
    assert problem.check == check


def test_unknown_keys_and_bad_values_of_servers_name_the_place(settings: Any) -> None:
    settings.ANYMAIL = {
        "POSTAL_API": "smtp",
        "POSTAL_SERVERS": {"eu": {"api": "fax", "api_keys": "x"}, "us": {}},
    }
    assert [(problem.check, problem.setting) for problem in conf.problems()] == [
        ("E003", "POSTAL_API"),  # once, though the default server and "us" both have it
        ("E004", "POSTAL_SERVERS['eu']"),
        ("E003", "POSTAL_SERVERS['eu']['api']"),
    ]


# --- required to send ---


@pytest.mark.parametrize(
    ("written", "missing"),
    [
        ({}, ["POSTAL_API_KEY", "ANYMAIL_POSTAL_API_KEY"]),
        ({"POSTAL_API_KEY": "k"}, ["POSTAL_API_URL", "ANYMAIL_POSTAL_API_URL"]),
    ],
    ids=["key-before-url", "url"],
)
def test_what_is_missing_is_named(settings: Any, written: dict[str, str], missing: list[str]) -> None:
    settings.ANYMAIL = written
    with pytest.raises(AnymailConfigurationError) as raised:
        EmailBackend()
    assert all(name in str(raised.value) for name in missing)


def test_what_a_named_server_lacks_is_named(settings: Any) -> None:
    settings.ANYMAIL = {"POSTAL_SERVERS": {"eu": {}}}
    with pytest.raises(AnymailConfigurationError, match="'api_key' of 'eu' in POSTAL_SERVERS"):
        EmailBackend(server="eu")


# --- secrets and the store ---


def test_secrets_are_djangos_unless_set(settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old", "older"]
    assert conf.secret_keys(conf.server()) == [b"new", b"old", b"older"]
    own = conf.server(secret_key=["ö" * 32, "b" * 32])
    assert conf.secret_keys(own) == [("ö" * 32).encode(), b"b" * 32]


def test_the_store_is_there_only_if_its_app_is(settings: Any) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != conf.STORE_APP]
    assert conf.store() is None
    with pytest.raises(AnymailConfigurationError, match=r"POSTAL_X needs 'anymail_postal.contrib.store'"):
        conf.require_store("POSTAL_X")
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, conf.STORE_APP]
    assert conf.require_store("POSTAL_X") is conf.store() is not None


# --- MAILERS ---


@needs_mailers
def test_mailers_are_servers(settings: Any) -> None:
    settings.MAILERS = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {"api_key": "d", "webhook_key": "MIGf"}},
        "news": {"BACKEND": f"{__name__}.SubclassedBackend", "OPTIONS": {"api_key": "n"}},
        "bare": {"BACKEND": BACKEND},
        "smtp": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": {"host": "x"}},
        "none": {},
        "broken": {"BACKEND": "no.such.Backend"},
        "function": {"BACKEND": f"{__name__}.no_backend"},
    }
    settings.ANYMAIL = {"POSTAL_API_URL": "https://p.test", "POSTAL_API_KEY": "flat"}
    assert conf.server_names() == ["default", "news", "bare"]
    assert conf.server().api_key == "d"
    assert conf.server().webhook_key == "MIGf"
    assert conf.server("news").api_key == "n"
    assert conf.server("bare").api_key == "flat"
    with pytest.raises(UnknownServer):
        conf.server("smtp")
    assert django.core.mail.mailers["news"].config.api_key == "n"


@needs_mailers
def test_a_mailer_without_key_is_an_invalid_mailer(settings: Any) -> None:
    settings.MAILERS = {"default": {"BACKEND": BACKEND}}
    settings.ANYMAIL = {}
    with pytest.raises(AnymailInvalidMailer, match="'api_key'"):
        assert django.core.mail.mailers["default"]


@needs_mailers
def test_a_mailer_may_send_through_another_server(settings: Any) -> None:
    settings.MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"server": "eu", "retries": 0}}}
    settings.ANYMAIL = {"POSTAL_SERVERS": {"eu": {"api_key": "eu", "api_url": "https://eu.test"}}}
    config = django.core.mail.mailers["default"].config
    assert (config.name, config.api_key, config.retries) == ("eu", "eu", 0)


@needs_mailers
def test_unknown_options_of_mailers_are_reported(settings: Any) -> None:
    options = {"api_key": "k", "timeout": 5, "send_defaults": {}, "server": "eu", "colour": "blue"}
    settings.MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
    settings.ANYMAIL = {}
    (problem,) = conf.problems()
    assert problem.check == "E004"
    assert problem.message == "MAILERS['default']['OPTIONS'] has the unknown key 'colour'."


@needs_mailers
def test_options_that_django_does_not_know_are_its_own_error(settings: Any) -> None:
    settings.MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"colour": "blue"}}}
    settings.ANYMAIL = {"POSTAL_API_URL": "https://p.test", "POSTAL_API_KEY": "k"}
    with pytest.raises(django.core.mail.InvalidMailer, match="colour"):
        assert django.core.mail.mailers["default"]
