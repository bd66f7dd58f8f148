from __future__ import annotations

import os

import pytest

from postal_server.transports.http.hosts import HostResolver
from tests.each import each
from tests.fakes import FakeResolver
from tests.loops import run

ZONE = {"hooks.example": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}, "empty.example": {}}
HOSTS = """
127.0.0.1 localhost
10.0.0.7\tweb Web.internal  # the application
fd00::7 web
nonsense other.example
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "hosts"
    path.write_text(HOSTS)
    return path


@each(
    "host, addresses",
    [
        ("hooks.example", ["2001:db8::1", "192.0.2.1"]),
        ("web", ["10.0.0.7", "fd00::7"]),
        ("WEB.internal.", ["10.0.0.7"]),
        ("localhost", ["127.0.0.1"]),
        ("app.localhost", ["::1", "127.0.0.1"]),
        ("192.0.2.9", ["192.0.2.9"]),
        ("2001:db8::9", ["2001:db8::9"]),
        ("127.1", ["127.0.0.1"]),
        ("2130706433", ["127.0.0.1"]),
    ],
)
def test_the_hosts_file_comes_before_dns(path, host, addresses):
    assert run(HostResolver(FakeResolver(ZONE).addresses, path)(host)) == addresses


@pytest.mark.parametrize("host", ["empty.example", "nowhere.example", "other.example"])
def test_a_host_without_address_is_an_error(path, host):
    with pytest.raises(OSError, match=r"no such record|does not exist"):
        run(HostResolver(FakeResolver(ZONE).addresses, path)(host))


def test_a_changed_or_missing_file_is_noticed(path):
    names = HostResolver(FakeResolver(ZONE).addresses, path)
    assert run(names("web")) == ["10.0.0.7", "fd00::7"]
    path.write_text("10.0.0.8 web\n")
    os.utime(path, (1, 1))
    assert run(names("web")) == ["10.0.0.8"]
    path.unlink()
    with pytest.raises(OSError, match="does not exist"):
        run(names("web"))
