"""Postal's `postal.yml`, both layouts, and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from postal_server import conf
from postal_server.errors import ConfigurationError


def load(folder: Path, document: Any, environ: dict[str, str] | None = None) -> conf.Config:
    path = folder / "postal.yml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), "utf-8")
    return conf.load(path, environ or {})


def test_without_a_file_postals_defaults_hold_and_nothing_leaves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = conf.load(environ={})
    assert config.smtp_server.default_port == 25
    assert config.delivery.mode == "catch"


def test_named_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nothing\.yml: there is no such"):
        conf.load(tmp_path / "nothing.yml", {})


def test_file_and_environment_the_environment_wins(tmp_path):
    document = {"version": 2, "dns": {"return_path_domain": "rp.a.test", "mx_records": ["mx.a.test"]}}
    config = load(
        tmp_path, document, {"DNS_MX_RECORDS": "mx1.b.test, mx2.b.test", "SMTP_SERVER_TLS_ENABLED": "1"}
    )
    assert config.dns.return_path_domain == "rp.a.test"
    assert config.dns.mx_records == ("mx1.b.test", "mx2.b.test")
    assert config.smtp_server.tls_enabled is True


def test_config_file_root_is_the_folder_of_the_file(tmp_path):
    config = load(tmp_path, {"version": 2})
    assert config.file(config.postal.signing_key_path) == tmp_path / "signing.key"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"version": 2, "web_server": {"default_port": "many"}}, r"web_server\.default_port: 'many'"),
        ({"version": 2, "postal": {"use_ip_pools": "perhaps"}}, r"postal\.use_ip_pools: 'perhaps'"),
        ({"version": 2, "dns": ["a list"]}, r"dns: a group is expected"),
        ({"version": 2, "dns": {"mx_records": 5}}, r"dns\.mx_records: a list is expected"),
        ({"version": 2, "delivery": {"mode": "everywhere"}}, r"delivery\.mode: 'everywhere'"),
        ({"version": 2, "delivery": {"mode": "relays"}}, r"delivery\.mode: relays needs postal\.smtp_relays"),
        ({"version": 2, "postal": {"web_protocol": "gopher"}}, r"postal\.web_protocol: 'gopher'"),
        ({"version": 2, "tls_reports": {"enabled": True}}, r"tls_reports\.enabled: needs smtp\.from_address"),
        ("- a\n- list\n", r"groups of keys are expected"),
        ("a: [", r"postal\.yml: cannot be read: line 1, column 5: "),
        (
            {"version": 2, "web_server": {"default_port": 65536}},
            "web_server.default_port: 65536 is not a port",
        ),
        ({"version": 2, "smtp_server": {"default_port": -1}}, "smtp_server.default_port: -1 is too small"),
        ({"version": 2, "worker": {"max_connections": 0}}, "worker.max_connections: 0 is too small"),
        ({"version": 2, "smtp_server": {"max_message_size": ".inf"}}, "max_message_size: '.inf' is not"),
        ({"version": 2, "smtp_server": {"max_message_size": float("inf")}}, "max_message_size: inf is not"),
        ({"version": 2, "worker": {"threads": "many"}}, "worker.threads: 'many' is not a whole number"),
        (
            {"version": 2, "postal": {"web_hostname": "http://a.test"}},
            "postal.web_hostname: 'http://a.test' is",
        ),
        (
            {"version": 2, "postal": {"smtp_hostname": "me@a.test"}},
            "postal.smtp_hostname: 'me@a.test' is not",
        ),
        ({"version": 2, "dns": {"track_domain": "a b"}}, "dns.track_domain: 'a b' is not a host name"),
        ({"version": 2, "dns": {"mx_records": ["10 mx.a.test"]}}, "dns.mx_records: '10 mx.a.test' is not"),
        ({"version": 2, "hold": {"expiry": {"spam": "x"}}}, r"hold\.expiry\.spam: 'x' is not a whole number"),
        ({"version": 2, "hold": {"expiry": {"spam": None}}}, r"hold\.expiry\.spam: a value is required"),
        ({"version": 2, "hold": {"expiry": {"spam": 0}}}, r"hold\.expiry\.spam: 0 is too small"),
        ({"version": 2, "hold": {"expiry": {"spam": 4000}}}, r"hold\.expiry\.spam: 4000 is too much"),
        ({"version": 2, "hold": {"expiry": {"ham": 1}}}, r"hold\.expiry: 'ham' is none of suppressed, send"),
        ({"version": 2, "hold": {"expiry": 7}}, r"hold\.expiry: 7 is not a number for each name"),
        ({"version": 2, "hold": {"expiry": "spam"}}, r"hold\.expiry\.spam: '' is not a whole number"),
        ({"version": 2, "logging": {"level": "LOUD"}}, "logging.level: 'LOUD' is none of DEBUG"),
        ({"version": 2, "logging": {"format": "xml"}}, "logging.format: 'xml' is none of text, json"),
        ({"version": 2, "logging": {"stream": "file"}}, "logging.stream: 'file' is none of stderr, stdout"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, document, named):
    with pytest.raises(ConfigurationError, match=named):
        load(tmp_path, document)


@pytest.mark.parametrize(
    ("document", "environ"),
    [
        ({"version": 2, "hold": {"expiry": {"suppressed": 3, "spam": 30}}}, {}),
        ({"version": 2, "hold": {"expiry": {"spam": 1}}}, {"HOLD_EXPIRY": "suppressed=3, spam=30"}),
    ],
)
def test_holds_expire_by_their_reasons(tmp_path, document, environ):
    assert dict(load(tmp_path, document, environ).hold.expiry) == {"suppressed": 3, "spam": 30}


@pytest.mark.parametrize(
    ("mode", "allowlist", "warning"),
    [
        ("allowlist", "", "delivery.allowlist: is empty, so all mail is caught."),
        ("allowlist", "ann@a.test, b.test", None),
        ("mx", "ann@a.test", "delivery.allowlist: has no effect with delivery.mode mx."),
        ("mx", "", None),
    ],
)
def test_a_list_of_recipients_that_does_not_fit_the_mode_is_said(tmp_path, mode, allowlist, warning):
    document = {"version": 2, "delivery": {"mode": mode}, "smtp": {"from_address": "postal@a.test"}}
    config = load(tmp_path, document, {"DELIVERY_ALLOWLIST": allowlist})
    assert config.delivery.allowlist == (tuple(allowlist.split(", ")) if allowlist else ())
    assert config.warnings == ((warning,) if warning else ())


@pytest.mark.parametrize(
    ("mode", "smtp", "environ", "is_said"),
    [
        ("mx", {}, {}, True),
        ("relays", {"host": "mx.a.test"}, {}, True),
        ("mx", {"from_address": "postal@example.com"}, {}, False),  # somebody means it
        ("mx", {}, {"SMTP_FROM_ADDRESS": "postal@a.test"}, False),
        ("catch", {}, {}, False),
    ],
)
def test_notices_that_would_come_from_a_foreign_domain_are_said(tmp_path, mode, smtp, environ, is_said):
    postal = {"smtp_relays": ["smtp://relay.a.test"]}
    document = {"version": 2, "postal": postal, "delivery": {"mode": mode}, "smtp": smtp}
    said = "smtp.from_address: not set, so notices come from postal@example.com, a foreign address."
    assert load(tmp_path, document, environ).warnings == ((said,) if is_said else ())


def test_environment_variable_that_is_wrong_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="WORKER_THREADS: 'x'"):
        load(tmp_path, {"version": 2}, {"WORKER_THREADS": "x"})


def test_what_cannot_be_honoured_is_said_by_name(tmp_path):
    config = load(
        tmp_path, {"version": 2, "storage": {}, "oidc": {"enabled": True}, "dns": {"nmae": 1}, "x": {}}
    )
    assert [warning.split(":")[0] for warning in config.warnings] == ["dns.nmae", "oidc", "x"]


def test_a_mistyped_key_is_said_with_what_was_meant(tmp_path):
    config = load(tmp_path, {"version": 2, "storage": {}, "smtp_server": {"defaul_port": 25, "zzz": 1}})
    assert config.warnings == (
        "smtp_server.defaul_port: unknown key, ignored. Did you mean default_port?",
        "smtp_server.zzz: unknown key, ignored.",
    )


def test_key_that_changes_nothing_here_is_said_if_it_asks_for_something(tmp_path):
    document = {"version": 2, "storage": {}, "rails": {"environment": "staging"}, "main_db": {"pool_size": 5}}
    assert load(tmp_path, document).warnings == ("rails.environment: has no effect here.",)


def test_postals_own_file_keeps_plaintext_auth_and_says_so(tmp_path):
    config = load(tmp_path, {"version": 2, "smtp_server": {"tls_enabled": True}})
    assert config.plaintext_auth is True
    assert {w.split(":")[0] for w in config.warnings} == {"delivery.mode", "smtp_server.plaintext_auth"}


@pytest.mark.parametrize(
    ("smtp", "offered"),
    [
        ({"tls_enabled": True}, False),
        ({"tls_enabled": False}, True),
        ({"tls_enabled": True, "plaintext_auth": True}, True),
        ({"tls_enabled": False, "plaintext_auth": False}, False),
    ],
)
def test_plaintext_auth_is_off_where_tls_is_on(tmp_path, smtp, offered):
    assert load(tmp_path, {"version": 2, "storage": {}, "smtp_server": smtp}).plaintext_auth is offered


def test_file_of_2019_is_understood(tmp_path):
    config = load(
        tmp_path,
        {
            "web": {"host": "postal.a.test", "protocol": "https"},
            "general": {"maximum_delivery_attempts": 12, "exception_url": "x"},
            "web_server": {"port": 5001, "bind_address": "127.0.0.1", "max_threads": 5},
            "main_db": {"host": "db", "username": "postal", "database": "postal"},
            "message_db": {"prefix": "mail"},
            "rabbitmq": {"host": "q"},
            "smtp_server": {"port": 2525, "tls_enabled": True, "max_message_size": 20},
            "dns": {
                "smtp_server_hostname": "mx.a.test",
                "return_path": "rp.a.test",
                "mx_records": ["mx.a.test"],
            },
            "rails": {"secret_key": "s" * 40},
            "smtp_relays": [{"hostname": "relay.a.test", "port": 587, "ssl_mode": "TLS"}],
        },
    )
    assert config.postal.web_hostname == "postal.a.test"
    assert config.postal.smtp_hostname == "mx.a.test"
    assert config.postal.default_maximum_delivery_attempts == 12
    assert config.postal.smtp_relays == ("smtp://relay.a.test:587?ssl_mode=TLS",)
    assert config.web_server.default_port == 5001
    assert config.message_db.database_name_prefix == "mail"
    assert config.max_message_bytes == 20 * 1024 * 1024
    assert config.dns.return_path_domain == "rp.a.test"
    assert conf.secret_key(config) == "s" * 40
    named = {warning.split(":")[0] for warning in config.warnings}
    assert {"rabbitmq", "general.exception_url", "smtp_server.plaintext_auth", "delivery.mode"} == named


def test_missing_secret_says_what_to_do(tmp_path):
    with pytest.raises(ConfigurationError, match=r"secret\.key: cannot be read .*initialize"):
        conf.secret_key(load(tmp_path, {"version": 2}))


@pytest.mark.parametrize(("content", "named"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff", "is no")])
def test_a_secret_that_is_none_is_named(tmp_path, content, named):
    (tmp_path / "secret.key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"secret\.key: {named}"):
        conf.secret_key(load(tmp_path, {"version": 2}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"version: 2\nstorage:\n  url: postgresql://u:secret@h/x: y\n", "line 3, column 33: mapping values"),
        (b"version: 2\nstorage: postgresql://u:secret@h/x\n", "storage: a group is expected"),
        (b"version: 2\npostal:\n  smtp_relays: {password: secret}\n", "smtp_relays: a list is expected"),
        (b"version: 2\n# secret M\xfcller\n", "line 2 is not text in UTF-8"),
        (b"version: 2\n# secret\0\n", "special characters are not allowed"),
    ],
)
def test_an_error_shows_nothing_of_what_may_be_a_password(text, said, tmp_path):
    (tmp_path / "postal.yml").write_bytes(text)
    with pytest.raises(ConfigurationError) as error:
        conf.load(tmp_path / "postal.yml", {})
    assert said in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
