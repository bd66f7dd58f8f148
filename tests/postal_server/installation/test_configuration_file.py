"""Keys are changed in a file, and nothing else is."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest
import yaml

from postal_server.errors import ConfigurationError
from postal_server.installation.configuration_file import HEADER, ConfigurationFile
from tests.each import each

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


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text(THEIRS)
    path.chmod(0o640)
    return path


@each("values, change", CHANGES.values(), ids=lambda case: str(case[0]))
def test_every_other_byte_stays(values, change, theirs):
    assert ConfigurationFile(theirs, {}).changed(values) == THEIRS.replace(*change)


@each("values, change", CHANGES.values(), ids=lambda case: str(case[0]))
def test_the_line_ends_of_windows_stay(values, change, theirs):
    theirs.write_bytes(THEIRS.replace("\n", "\r\n").encode())
    changed = ConfigurationFile(theirs, {}).changed(values)
    assert changed == THEIRS.replace(*change).replace("\n", "\r\n")


def test_all_of_them_at_once(theirs):
    values = {key: value for given, _ in CHANGES.values() for key, value in given.items()}
    found = yaml.safe_load(ConfigurationFile(theirs, {}).changed(values))
    assert found["postal"]["web_hostname"] == "b.example"
    assert found["delivery"] == {"mode": "catch", "catch_port": 2526}
    assert "smtp_relays" not in found["postal"]


@each("text", ["", "# a comment", "# a comment\n", "version: 2"])
def test_a_file_without_keys_gets_them(text, tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text(text)
    changed = ConfigurationFile(path, {}).changed({"postal.web_hostname": "a.example"})
    assert changed.startswith(text)
    assert yaml.safe_load(changed) == {"version": 2, "postal": {"web_hostname": "a.example"}}


def test_a_file_that_does_not_exist_begins_with_what_it_is(tmp_path):
    file = ConfigurationFile(tmp_path / "postal.yml", {})
    assert file.changed({"delivery.mode": "mx"}).startswith(HEADER)
    assert not file.exists


@each(
    "text",
    [
        "version: 2\npostal: &all\n  web_hostname: &host a.example\n  smtp_hostname: *host\n",
        "version: 2\ndelivery: {mode: catch}\npostal:\n  ? web_hostname\n  : a.example\n",
        "version: 2\npostal:\n  web_hostname: >-\n    a.example\n\n  # behind\n",
    ],
)
def test_rare_yaml_is_changed_rightly_or_not_at_all(text, tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text(text)
    expected = yaml.safe_load(text)
    expected["postal"]["web_hostname"] = "b.example"
    with contextlib.suppress(ConfigurationError):
        changed = ConfigurationFile(path, {}).changed({"postal.web_hostname": "b.example"})
        assert yaml.safe_load(changed) == expected


def test_what_cannot_be_changed_is_to_be_set_by_hand(tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text("version: 2\npostal: {web_hostname: &host a.example, smtp_hostname: *host}\n")
    with pytest.raises(ConfigurationError, match=r"Set by hand: postal\.web_hostname: b\.example"):
        ConfigurationFile(path, {}).changed({"postal.web_hostname": "b.example"})


def test_the_layout_of_2019_is_left_alone(tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text("web:\n  host: a.example\n")
    file = ConfigurationFile(path, {})
    assert file.changed({}) == "web:\n  host: a.example\n"
    with pytest.raises(ConfigurationError, match=r"layout of 2019 .* by hand: delivery\.mode"):
        file.changed({"delivery.mode": "mx"})


def put(file, text):
    with file.replaced_by(text) as draft:
        file.require_unchanged()
        with file.put_in_place(draft):
            pass


def test_the_file_keeps_its_mode_and_nothing_is_left_beside_it(theirs):
    put(ConfigurationFile(theirs, {}), "version: 2\n")
    assert theirs.read_text() == "version: 2\n"
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o640
    assert os.listdir(theirs.parent) == ["postal.yml"]


def test_a_new_file_is_the_owners_alone(tmp_path):
    path = tmp_path / "new" / "postal.yml"
    put(ConfigurationFile(path, {}), "version: 2\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_link_stays_one(theirs, tmp_path):
    link = tmp_path / "link.yml"
    link.symlink_to(theirs)
    put(ConfigurationFile(link, {}), "version: 2\n")
    assert link.is_symlink()
    assert theirs.read_text() == "version: 2\n"


def test_a_failure_in_the_middle_leaves_the_file_and_no_draft(theirs):
    with pytest.raises(KeyboardInterrupt), ConfigurationFile(theirs, {}).replaced_by("version: 2\n"):
        raise KeyboardInterrupt
    assert theirs.read_text() == THEIRS
    assert os.listdir(theirs.parent) == ["postal.yml"]


@each("is_there", [True, False])
def test_what_fails_once_the_file_is_in_its_place_brings_back_what_was_there(is_there, theirs):
    if not is_there:
        theirs.unlink()
    file = ConfigurationFile(theirs, {})
    with file.replaced_by("version: 2\n") as draft:
        place = file.put_in_place(draft)
        place.__enter__()
        assert theirs.read_text() == "version: 2\n"
        assert not place.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert os.listdir(theirs.parent) == (["postal.yml"] if is_there else [])
    if is_there:
        assert theirs.read_text() == THEIRS
        assert stat.S_IMODE(theirs.stat().st_mode) == 0o640


@each(
    "text, lines",
    [
        ("version: 2\ndns:\n  timeout: 1\n  timeout: 2\n", "timeout more than once, in lines 3, 4"),
        ("version: 2\ndns: {timeout: 1}\ndns: {}\n", "dns more than once, in lines 2, 3"),
    ],
)
def test_a_key_that_is_there_twice_is_named(text, lines, theirs):
    theirs.write_text(text)
    with pytest.raises(ConfigurationError, match=f"has {lines}\\. Keep one"):
        ConfigurationFile(theirs, {}).changed({"dns.timeout": 3})


def test_a_file_that_somebody_else_changed_meanwhile_is_theirs(theirs):
    file = ConfigurationFile(theirs, {})
    theirs.write_text(THEIRS + "\n# and this")
    with pytest.raises(ConfigurationError, match="changed by somebody else"):
        put(file, "version: 2\n")
    assert theirs.read_text() == THEIRS + "\n# and this"
