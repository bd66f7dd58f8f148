"""The playbook in `docs/ansible/` on a bare Debian, in a chroot, and then with systemd.

Nothing shorter proves it; what it runs has tests of its own.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator

import pytest

from postal_server.installation.service import SITE, UNITS
from tests.certificates import write_certificate
from tests.installed import build_wheel
from tests.readme import ROOT

from .booted import booted
from .debian import Debian, bare

pytestmark = pytest.mark.drill

LIVE = "/etc/letsencrypt/live/postal.example.com"
PLAYBOOK = (
    "/opt/ansible/bin/ansible-playbook --connection local --inventory /root/ansible/inventory.yml "
    "--extra-vars postal_constraints=/root/constraints.txt --extra-vars postal_wheel=/root/{wheel} "
    "/root/ansible/playbook.yml"
)
ON_POSTGRESQL = json.dumps({"postal_database": "postgresql:///postal?host=/run/postgresql"})
RECAP = re.compile(r"ok=(\d+) +changed=(\d+) +unreachable=0 +failed=0 +skipped=(\d+)")


# Through nginx.
ASK = """\
import ssl, urllib.request
request = urllib.request.Request("https://127.0.0.1/ip", headers={"Host": "postal.example.com"})
print(urllib.request.urlopen(request, context=ssl._create_unverified_context()).read().decode())
"""


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """A bare system with ansible-core, the playbook, the wheel, and a certificate as certbot leaves it."""
    with bare() as debian:
        debian.run("apt-get", "update", "--quiet")
        debian.run("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "python3-venv")
        debian.run("python3", "-m", "venv", "/opt/ansible")
        debian.run("/opt/ansible/bin/pip", "install", "--quiet", "ansible-core")
        shutil.copytree(ROOT / "docs/ansible", debian.path("root/ansible"))
        shutil.copy(ROOT / "constraints.txt", debian.path("root"))
        shutil.copy(build_wheel(tmp_path_factory.mktemp("wheel")), debian.path("root"))
        debian.path(LIVE).mkdir(parents=True)
        certificate, key = write_certificate(debian.path(LIVE), "mx.postal.example.com")
        certificate.rename(debian.path(LIVE) / "fullchain.pem")
        key.rename(debian.path(LIVE) / "privkey.pem")
        yield debian


@pytest.fixture(scope="module")
def playbook(debian: Debian) -> str:
    """The command line of the playbook."""
    [wheel] = (path.name for path in debian.path("root").glob("*.whl"))
    return PLAYBOOK.format(wheel=wheel)


@pytest.fixture(scope="module")
def first(debian: Debian, playbook: str) -> str:
    """What the playbook says on the bare system, where nothing runs, but the internet can be reached."""
    return debian.run("sh", "-c", playbook)


def test_playbook_makes_a_mail_server_and_changes_nothing_when_run_again(debian, playbook, first):
    assert changes(first) > 10, first
    assert (debian.root / UNITS / "postal-server.service").exists()
    assert (debian.root / SITE).exists()
    kept = debian.path("root/postal-initialize.txt")
    assert "API key" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "API key" not in first
    assert changes(debian.run("sh", "-c", playbook)) == 0

    with booted(debian) as machine:
        started = machine.run(playbook)
        assert changes(started) <= 3, started  # the service is enabled and started
        assert changes(machine.run(playbook)) == 0
        assert machine.run("systemctl is-active postal-server nginx") == "active\nactive\n"
        assert machine.run("systemctl is-enabled postal-server") == "enabled\n"
        assert machine.run("python3 -", given=ASK) == "ip: 127.0.0.1 remote ip: 127.0.0.1\n"
        machine.run("systemctl stop postal-server")
        assert changes(machine.run(playbook)) == 1


def test_playbook_on_postgresql_goes_on_where_a_run_has_ended(debian, playbook, first):
    """On a machine that has the packages, but no installation."""
    assert changes(first)
    debian.run("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "postgresql")
    debian.run("systemctl", "disable", "postal-server")
    debian.run("rm", "--recursive", "--force", "/var/lib/postal")
    playbook += f" --extra-vars '{ON_POSTGRESQL}'"
    with booted(debian) as machine:
        machine.run("runuser -u postgres -- createuser postal")  # and then the run ended
        assert changes(machine.run(playbook)) > 5
        assert changes(machine.run(playbook)) == 0
        assert machine.run("systemctl is-active postal-server") == "active\n"
        tables = "runuser -u postgres -- psql --tuples-only --command '\\dt' postal"
        assert re.search(r"postal_server_message\b.*\bpostal\b", machine.run(tables))
        assert not list(debian.path("var/lib/postal").glob("*.sqlite3"))


def changes(said: str) -> int:
    """How many tasks have changed something. Fails if one has failed."""
    [(_, changed, _)] = RECAP.findall(said)
    return int(changed)
