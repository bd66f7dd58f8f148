"""Keys are changed in the text of a file, and nothing else is."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml

from postal_server.errors import ConfigurationError
from postal_server.installation.configuration_text import HEADER, with_values
from tests.each import each

PATH = Path("postal.yml")
THEIRS = """\
# Our mail server. Ask Ann before you change this.
version: 2

postal:
    web_hostname: "a.example"   # the old one
    # Relays, in order
    smtp_relays:
      - smtp://one.example   # first
      - smtp://two.example
    trusted_proxies: [192.0.2.1, "::1/128"]  # nginx

delivery:
    mode: catch # for now
    #catch_port: 1

storage: {url: 'sqlite:////x'}
logging:
dns:
  mx_records:
  - mx1.example # the first
# the end"""
CHANGES = {
    "a value": ({"postal.web_hostname": "b.example"}, ('"a.example"   #', "b.example   #")),
    "a value that needs quotes": ({"storage.url": "a: b"}, ("'sqlite:////x'", "'a: b'")),
    "a list by another": (
        {"postal.smtp_relays": ("smtp://three.example",)},
        (
            "      - smtp://one.example   # first\n      - smtp://two.example",
            "      - 'smtp://three.example'",
        ),
    ),
    "a list that grows": (
        {"dns.mx_records": ("mx1.example", "mx2.example")},
        ("  - mx1.example # the first", "  - mx1.example # the first\n  - mx2.example"),
    ),
    "a list on one line": (
        {"postal.trusted_proxies": ("192.0.2.1",)},
        ('[192.0.2.1, "::1/128"]  #', "[192.0.2.1]  #"),
    ),
    "a new key": (
        {"delivery.catch_port": 2526},
        ("mode: catch # for now", "mode: catch # for now\n    catch_port: 2526"),
    ),
    "a new key of a group on one line": (
        {"storage.min_free_mb": 5},
        ("'sqlite:////x'}", "'sqlite:////x', min_free_mb: 5}"),
    ),
    "a key of a group without any": ({"logging.level": "DEBUG"}, ("logging:", "logging:\n  level: DEBUG")),
    "a new group": (
        {"smtp_server.tls_enabled": True},
        ("# the end", "# the end\n\nsmtp_server:\n  tls_enabled: true\n"),
    ),
    "a key that goes": (
        {"postal.smtp_relays": None},
        (
            "    smtp_relays:\n      - smtp://one.example   # first\n      - smtp://two.example\n",
            "",
        ),
    ),
    "a key on one line that goes": ({"storage.url": None}, ("{url: 'sqlite:////x'}", "{}")),
    "a key that is not there goes": ({"dns.timeout": None}, ("", "")),
}


@each("values, change", CHANGES.values(), ids=lambda case: str(case[0]))
def test_every_other_byte_stays(values, change):
    assert with_values(THEIRS, values, PATH) == THEIRS.replace(*change)


@each("values, change", CHANGES.values(), ids=lambda case: str(case[0]))
def test_the_line_ends_of_windows_stay(values, change):
    changed = with_values(THEIRS.replace("\n", "\r\n"), values, PATH)
    assert changed == THEIRS.replace(*change).replace("\n", "\r\n")


def test_all_of_them_at_once():
    values = {key: value for given, _ in CHANGES.values() for key, value in given.items()}
    found = yaml.safe_load(with_values(THEIRS, values, PATH))
    assert found["postal"]["web_hostname"] == "b.example"
    assert found["delivery"] == {"mode": "catch", "catch_port": 2526}
    assert "smtp_relays" not in found["postal"]


@each("text", ["", "# a comment", "# a comment\n", "version: 2"])
def test_a_text_without_keys_gets_them(text):
    changed = with_values(text, {"postal.web_hostname": "a.example"}, PATH)
    assert changed.startswith(text)
    assert yaml.safe_load(changed) == {"version": 2, "postal": {"web_hostname": "a.example"}}


def test_a_new_text_begins_with_what_it_is():
    assert with_values("", {"delivery.mode": "mx"}, PATH).startswith(HEADER)


@each(
    "text",
    [
        "version: 2\npostal: &all\n  web_hostname: &host a.example\n  smtp_hostname: *host\n",
        "version: 2\ndelivery: {mode: catch}\npostal:\n  ? web_hostname\n  : a.example\n",
        "version: 2\npostal:\n  web_hostname: >-\n    a.example\n\n  # behind\n",
    ],
)
def test_rare_yaml_is_changed_rightly_or_not_at_all(text):
    expected = yaml.safe_load(text)
    expected["postal"]["web_hostname"] = "b.example"
    with contextlib.suppress(ConfigurationError):
        changed = with_values(text, {"postal.web_hostname": "b.example"}, PATH)
        assert yaml.safe_load(changed) == expected


def test_what_cannot_be_changed_is_to_be_set_by_hand():
    text = "version: 2\npostal: {web_hostname: &host a.example, smtp_hostname: *host}\n"
    with pytest.raises(
        ConfigurationError, match=r"postal\.yml: .* Set by hand: postal\.web_hostname: b\.example"
    ):
        with_values(text, {"postal.web_hostname": "b.example"}, PATH)


def test_the_layout_of_2019_is_left_alone():
    text = "web:\n  host: a.example\n"
    assert with_values(text, {}, PATH) == text
    with pytest.raises(ConfigurationError, match=r"layout of 2019 .* by hand: delivery\.mode: mx"):
        with_values(text, {"delivery.mode": "mx"}, PATH)


@each(
    "text, lines",
    [
        ("version: 2\ndns:\n  timeout: 1\n  timeout: 2\n", "timeout more than once, in lines 3, 4"),
        ("version: 2\ndns: {timeout: 1}\ndns: {}\n", "dns more than once, in lines 2, 3"),
    ],
)
def test_a_key_that_is_there_twice_is_named(text, lines):
    with pytest.raises(ConfigurationError, match=f"has {lines}\\. Keep one"):
        with_values(text, {"dns.timeout": 3}, PATH)
