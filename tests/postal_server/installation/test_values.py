"""What a person types: what is taken, and what is said of the rest."""

from __future__ import annotations

import os

import pytest

from postal_server.installation import values
from tests.each import each

URL = "https://www.example.com/anymail/postal/tracking/"
TAKEN = [
    (values.domain, "Example.TEST", "example.test"),
    (values.domain, "example.test.", "example.test"),
    (values.domain, "bücher.example", "xn--bcher-kva.example"),
    (values.domain, "localhost", "localhost"),
    (values.public_host, "postal.example.com", "postal.example.com"),
    (values.url, URL, URL),
    (values.url, "http://user:p%40ss@127.0.0.1:8000/", "http://user:p%40ss@127.0.0.1:8000/"),
    (values.relay, "smtp://u:p@h:587?ssl_mode=STARTTLS", "smtp://u:p@h:587?ssl_mode=STARTTLS"),
    (values.relay, "relay.example.com", "relay.example.com"),
    (values.database, "postgresql://u:p@h/n", "postgresql://u:p@h/n"),
    (values.database, "sqlite:////var/lib/postal/x", "sqlite:////var/lib/postal/x"),
    (values.database, "sqlite:///$config-file-root/x", "sqlite:///$config-file-root/x"),
    (values.port, "2525", 2525),
    (values.file, "/etc/x.pem", "/etc/x.pem"),
    (values.file, "x.pem", os.path.abspath("x.pem")),
    (values.address_or_domain, "ann@example.com", "ann@example.com"),
    (values.address_or_domain, "example.com", "example.com"),
]
REFUSED = [
    *((values.domain, text) for text in ("not a domain", "", "ann@example.com", "https://example.com")),
    *((values.domain, text) for text in ("-x.example", "a..b", "192.0.2.1")),
    *((values.public_host, text) for text in ("localhost", "mail", "x.localhost", "192.0.2.1")),
    *((values.url, text) for text in ("htp:/foo", "www.example.com/hook", "http://", "https:///hook")),
    *((values.url, text) for text in ("http://x:99999/", "http://x:0/", "http://a b/", "ftp://x/")),
    *((values.relay, text) for text in ("", "smtp://h:99999", "smtp://h?ssl_mode=maybe")),
    (values.relay, "http://h"),
    (values.file, ""),
    *((values.database, text) for text in ("", "mysql://h/n", "/var/lib/x", "sqlite:///x.sqlite3")),
    *((values.port, text) for text in ("", "0", "65536", "smtp", "²", "-1")),
    *((values.address_or_domain, text) for text in ("", "a b", "@", "ann@", "192.0.2.1")),
]


@each("check, text, value", TAKEN)
def test_what_is_one_is_taken(check, text, value):
    assert check(text) == value


@each("check, text", REFUSED)
def test_what_is_none_is_refused(check, text):
    with pytest.raises(ValueError, match=r"\w"):
        check(text)


@each(
    "check, text",
    [
        (values.url, "htp://user:secret@host/"),
        (values.relay, "smtp://user:secret@host:x"),
        (values.relay, "http://user:secret@host"),
        (values.database, "mysql://user:secret@host/name"),
        (values.database, "user:secret@host/name"),
    ],
)
def test_a_password_is_not_said_again(check, text):
    with pytest.raises(ValueError, match="host") as error:
        check(text)
    assert "secret" not in str(error.value)


@each(
    "url, shown",
    [
        ("postgresql://u:p@h:5432/n?password=x", "postgresql://h:5432/n"),
        ("https://u:p%40@h/path/", "https://h/path/"),
        ("u:p@h", "h"),
        ("sqlite:////a/b", "sqlite:////a/b"),
    ],
)
def test_urls_are_shown_without_what_may_be_secret(url, shown):
    assert values.without_user(url) == shown


@each(
    "host, is_private",
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("app", True),
        ("x.localhost", True),
        ("www.example.com", False),
        ("8.8.8.8", False),
    ],
)
def test_private_hosts(host, is_private):
    assert values.is_private_host(host) is is_private
