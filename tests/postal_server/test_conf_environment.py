"""Environment variables: values from files, and names that are mistyped."""

from __future__ import annotations

import pytest

from anymail_postal import conf as library
from postal_server import conf
from postal_server.conf_environment import mistyped
from postal_server.errors import ConfigurationError
from tests.each import each

PREFIXES = [f"{name}_".upper() for name in conf.GROUPS]


@pytest.fixture
def secret(tmp_path):
    def write(content: str | bytes):
        path = tmp_path / "secret"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("pässword", "pässword"),
        ("password\n", "password"),
        ("password\r\n", "password"),
        (" pass word \n", " pass word "),
        ("two\nlines\n", "two\nlines"),
        ("", ""),
    ],
)
def test_a_file_has_the_value_without_its_final_line_break(tmp_path, secret, content, value):
    config = conf.parse({"smtp": {"password": "other"}}, {"SMTP_PASSWORD_FILE": secret(content)}, tmp_path)
    assert config.smtp.password == value


def test_every_key_may_come_from_a_file(tmp_path, secret):
    for variable, content, (group, name), value in (
        ("RAILS_SECRET_KEY_FILE", "s" * 40, ("rails", "secret_key"), "s" * 40),
        (
            "DNS_MX_RECORDS_FILE",
            "mx1.a.test, mx2.a.test\n",
            ("dns", "mx_records"),
            ("mx1.a.test", "mx2.a.test"),
        ),
        ("WEB_SERVER_DEFAULT_PORT_FILE", "8080\n", ("web_server", "default_port"), 8080),
        ("SMTP_SERVER_PLAINTEXT_AUTH_FILE", "yes\n", ("smtp_server", "plaintext_auth"), True),
        ("HOLD_EXPIRY_FILE", "spam=3\n", ("hold", "expiry"), (("spam", 3),)),
    ):
        config = conf.parse({}, {variable: secret(content)}, tmp_path)
        assert getattr(getattr(config, group), name) == value
        assert config.warnings == ()


def test_a_variable_and_its_file_are_one_too_many(tmp_path, secret):
    environ = {"SMTP_PASSWORD": "hidden", "SMTP_PASSWORD_FILE": secret("hidden too")}
    with pytest.raises(ConfigurationError) as error:
        conf.parse({}, environ, tmp_path)
    assert str(error.value) == "SMTP_PASSWORD, SMTP_PASSWORD_FILE: both are set; keep one."


@pytest.mark.parametrize("empty", ["SMTP_PASSWORD", "SMTP_PASSWORD_FILE"])
def test_of_two_one_may_be_empty(tmp_path, secret, empty):
    environ = {"SMTP_PASSWORD": "x", "SMTP_PASSWORD_FILE": secret("x"), empty: ""}
    assert conf.parse({}, environ, tmp_path).smtp.password == "x"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "cannot be read: No such file or directory."),
        (lambda path: path.mkdir(), "cannot be read: Is a directory."),
        (lambda path: path.write_bytes(b"hidden\xff"), "is not text in UTF-8."),
    ],
    ids=["missing", "folder", "bytes"],
)
def test_a_file_that_cannot_be_read_is_one_line_that_names_the_variable(tmp_path, make, why):
    path = tmp_path / "secret"
    make(path)
    with pytest.raises(ConfigurationError) as error:
        conf.parse({}, {"RAILS_SECRET_KEY_FILE": str(path)}, tmp_path)
    assert str(error.value) == f"RAILS_SECRET_KEY_FILE: {path} {why}"
    assert error.value.__cause__ is None


def test_a_wrong_value_in_a_file_names_the_variable_of_the_file(tmp_path, secret):
    with pytest.raises(ConfigurationError, match=r"^WORKER_THREADS_FILE: 'many' is not"):
        conf.parse({}, {"WORKER_THREADS_FILE": secret("many\n")}, tmp_path)


# Mistyped names


@each(
    "name, meant",
    [
        ("POSTAL_WEB_HOSTNAM", "POSTAL_WEB_HOSTNAME"),
        ("POSTAL_WEB_HOST_NAME", "POSTAL_WEB_HOSTNAME"),
        ("SMTP_SERVER_DEFAUL_PORT", "SMTP_SERVER_DEFAULT_PORT"),
        ("SMTP_SERVER_DEFALT_PROT", "SMTP_SERVER_DEFAULT_PORT"),
        ("DELIVERY_MOD", "DELIVERY_MODE"),
        ("DELIVERY_MODES", "DELIVERY_MODE"),
        ("DELIVERY_ALOWLIST", "DELIVERY_ALLOWLIST"),
        ("SMTP_PROT", "SMTP_PORT"),
        ("SMTP_HOAT", "SMTP_HOST"),
        ("STORAGE_URI", "STORAGE_URL"),
        ("RAILS_SECRET_KEYFILE", "RAILS_SECRET_KEY_FILE"),
        ("SMTP_PASSWORD_FILES", "SMTP_PASSWORD_FILE"),
    ],
)
def test_a_mistyped_variable_is_said_with_what_was_meant(name, meant):
    assert mistyped([name], conf.variables(), PREFIXES) == [f"{name}: has no effect. Did you mean {meant}?"]


SERVICES = ["POSTAL", "POSTAL_WEB", "POSTAL_SMTP", "SMTP", "SMTP_SERVER", "WEB_SERVER", "WORKER", "MAIN_DB"]
SERVICES += ["RSPAMD", "SPAMD", "CLAMAV", "DNS", "STORAGE", "SMTP_CLIENT", "LOGIN", "MESSAGE_DB", "LOGGING"]
OF_KUBERNETES = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_25_TCP", "PORT_25_TCP_PROTO"]
OF_KUBERNETES += ["PORT", "PORT_25_TCP_PORT", "PORT_25_TCP_ADDR"]


@each(
    "names",
    [
        [setting.name for setting in library.SETTINGS],
        [f"{service}_{name}" for service in SERVICES for name in OF_KUBERNETES],
        ["POSTAL_CONFIG_FILE_PATH", "POSTAL_HOST", "POSTAL_URL", "POSTAL_SMTP_HOST", "POSTAL_SMTP_KEY"],
        ["PORT", "BIND_ADDRESS", "HEALTH_SERVER_PORT", "SMTPS_PORT", "EMAIL_HOST", "LOG_LEVEL", "MAIL_MODE"],
        ["SMTP_USER", "SMTP_PASS", "SMTP_FROM", "SMTP_AUTH", "SMTP_AUTHENTICATION", "SMTP_DOMAIN"],
        ["RAILS_ENV", "RAILS_LOG_TO_STDOUT", "RAILS_SECRET_KEY_BASE", "RAILS_MASTER_KEY"],
        ["WORKER_CONNECTIONS", "WORKER_CONCURRENCY", "STORAGE_BUCKET", "LOGIN_URL", "TRACKING_ID"],
        ["SMTP_CLIENT_ID", "SMTP_CLIENT_SECRET", "DNS_SERVERS", "LOGGING_CONFIG"],
    ],
)
def test_variables_of_others_are_left_alone(names):
    assert mistyped(names, conf.variables(), PREFIXES) == []


def test_those_of_every_key_are_known():
    files = [f"{name}_FILE" for name in conf.variables()]
    assert mistyped([*conf.variables(), *files], conf.variables(), PREFIXES) == []
