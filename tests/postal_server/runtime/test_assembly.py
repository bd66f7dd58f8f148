from __future__ import annotations

import asyncio
import errno
import re
import socket
from functools import partial
from types import SimpleNamespace

import pytest

from postal_server import conf, files
from postal_server.engine.ports import Source, Target
from postal_server.errors import ConfigurationError
from postal_server.runtime import assembly
from postal_server.runtime.role import Role
from tests.fakes import FakeResolver

SMTP, HELO = {"smtp_hostname": "mx.example"}, {"helo_hostname": "helo.example"}


@pytest.mark.parametrize(
    ("groups", "source", "name"),
    [
        ({"postal": SMTP}, None, "mx.example"),
        ({"postal": SMTP, "dns": HELO}, None, "helo.example"),
        ({"postal": SMTP, "dns": HELO}, Source("192.0.2.7", "", "out.example"), "out.example"),
        ({"postal": SMTP, "dns": HELO}, Source("192.0.2.7"), "helo.example"),
    ],
    ids=["the SMTP host's", "one for all", "the source's own", "a source without"],
)
def test_the_name_in_ehlo(tmp_path, groups, source, name):
    assert assembly.helo_name(conf.parse(groups, {}, tmp_path), source) == name


# The second safeguard: whatever the target, only these hosts are found.
RELAY = Target("dest.example", "relay.example", 587)


@pytest.mark.parametrize(
    ("mode", "targets", "hosts", "asked"),
    [
        ("catch", [Target("qa.example"), RELAY], ["127.0.0.1", "127.0.0.1"], False),
        ("allowlist", [Target("dest.example"), RELAY], ["127.0.0.1", "127.0.0.1"], False),
        ("allowlist", [Target("sub.qa.example"), Target("[192.0.2.1]")], ["127.0.0.1", "127.0.0.1"], False),
        (
            "allowlist",
            [Target("QA.example."), Target("one.example")],
            ["mx.qa.example", "mx.one.example"],
            True,
        ),
        ("mx", [RELAY], ["relay.example"], False),
    ],
)
def test_hosts_are_found_only_for_domains_that_mail_may_reach(tmp_path, mode, targets, hosts, asked):
    listed = {"mode": mode, "allowlist": ["qa.example", "ann@one.example"]}
    names = FakeResolver({f"{name}.example": {"MX": [f"mx.{name}.example"]} for name in ("qa", "one")})
    finder = assembly.host_finder(conf.parse({"delivery": listed}, {}, tmp_path), names)
    found = [asyncio.run(finder.find(target)).hosts[0].name for target in targets]
    assert found == hosts
    assert bool(names.asked) is asked


@pytest.mark.parametrize(
    ("mode", "has_catch"), [("catch", True), ("allowlist", True), ("mx", False), ("relays", False)]
)
def test_the_catch_listens_where_any_mail_is_caught(tmp_path, mode, has_catch):
    groups = {"delivery": {"mode": mode}, "postal": {"smtp_relays": ["smtp://relay.example"]}}
    spec = assembly.process_spec(conf.parse(groups, {}, tmp_path), [Role.SMTP])
    assert (assembly.CatchListener in spec.listeners) is has_catch


@pytest.mark.parametrize("role", list(Role))
def test_no_process_starts_with_a_list_that_cannot_be_read(tmp_path, role):
    wrong = {"mode": "allowlist", "allowlist": ["ann@example.com", "*.example.com"]}
    with pytest.raises(ConfigurationError, match=r"^delivery\.allowlist: '\*\.example\.com' is neither"):
        assembly.process_spec(conf.parse({"delivery": wrong}, {}, tmp_path), [role])


# Addresses that cannot be listened on


@pytest.fixture
def taken():
    """A port of loopback that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def start(make, core):
    """What an edge says that cannot start."""

    async def main():
        listener = make(core)
        with pytest.raises(ConfigurationError) as error:
            await listener.start()
        if make is SMTPD:
            await listener.stop()  # its other port
        return str(error.value)

    return asyncio.run(main())


def core(tmp_path, **groups):
    config = conf.parse({"version": 2, **groups, "rails": {"secret_key": "s" * 40}}, {}, tmp_path)
    return SimpleNamespace(config=config, directory=None, journal=None, problem=lambda: "")


SMTPD = partial(assembly.SmtpListener, honour_environment=True)
WEB = partial(assembly.WebListener, honour_environment=True)


@pytest.mark.parametrize(
    ("listener", "group", "name"),
    [
        (SMTPD, "smtp_server", "default_port"),
        (WEB, "web_server", "default_port"),
        (assembly.CatchListener, "delivery", "catch_port"),
    ],
    ids=["smtp", "web", "catch"],
)
def test_a_port_in_use_is_reported_with_its_key(tmp_path, taken, listener, group, name):
    loopback = {} if group == "delivery" else {"default_bind_address": "127.0.0.1"}
    said = start(listener, core(tmp_path, **{group: {name: taken, **loopback}}))
    assert said == f"{group}.{name}: cannot listen on 127.0.0.1:{taken}: Address already in use."


@pytest.mark.parametrize("key", ["implicit_tls_port", "submission_port"])
def test_each_further_port_has_a_key_of_its_own(tmp_path, taken, key):
    files.write_secrets(conf.parse({"smtp_server": {"tls_enabled": True}}, {}, tmp_path))
    given = {"default_port": 0, "default_bind_address": "127.0.0.1", "tls_enabled": True}
    said = start(SMTPD, core(tmp_path, smtp_server={**given, key: taken}))
    assert said.startswith(f"smtp_server.{key}: cannot listen on 127.0.0.1:{taken}")


def test_a_certificate_of_another_user_is_reported_with_what_to_do(tmp_path, monkeypatch):
    files.write_secrets(conf.parse({"smtp_server": {"tls_enabled": True}}, {}, tmp_path))

    def refuse(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(assembly, "Certificates", refuse)  # root may read everything
    with pytest.raises(
        ConfigurationError, match=r"^smtp_server\.tls_certificate_path: this user may not"
    ) as error:
        SMTPD(core(tmp_path, smtp_server={"tls_enabled": True}))
    assert "postal-server service install --certbot" in str(error.value)


@pytest.mark.parametrize("address", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_this_machines_is_reported_with_its_key(tmp_path, address):
    said = start(WEB, core(tmp_path, web_server={"default_bind_address": address}))
    assert said.startswith(f"web_server.default_bind_address: cannot listen on {address}:5000: ")


def test_environment_variables_that_won_are_reported_instead(tmp_path, taken, monkeypatch):
    monkeypatch.setenv("PORT", str(taken))
    monkeypatch.setenv("BIND_ADDRESS", "127.0.0.1")
    assert start(WEB, core(tmp_path)).startswith(f"PORT: cannot listen on 127.0.0.1:{taken}")


@pytest.mark.parametrize(
    ("role", "key"),
    [
        (Role.WORKER, "worker.default_health_server_port"),
        (Role.SMTP, "smtp_server.default_health_server_port"),
    ],
)
def test_the_health_servers_port_has_a_key(tmp_path, role, key):
    config = conf.parse({}, {}, tmp_path)
    assert assembly.process_spec(config, [role]).health[2] == key


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "10.89.0.3", "172.18.0.2", "fd00::2"])
def test_the_catch_may_be_on_loopback_or_in_a_private_network(host):
    assembly.require_own_network(host)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("0.0.0.0", "0.0.0.0 is 0.0.0.0; a loopback or private address is required."),
        ("::", ":: is ::; a loopback or private address is required."),
        ("8.8.8.8", "8.8.8.8 is 8.8.8.8; a loopback or private address is required."),
        ("no.such.host.invalid", "no.such.host.invalid: "),
    ],
)
def test_the_catch_is_nowhere_that_strangers_reach(host, said):
    with pytest.raises(ConfigurationError, match=re.escape(f"delivery.catch_host: {said}")):
        assembly.require_own_network(host)
