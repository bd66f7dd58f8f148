"""The files of the service: valid, hardened, complete, and never written over what a person changed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from postal_server import conf
from postal_server.errors import ConfigurationError
from postal_server.installation import service
from postal_server.installation.service import Result, Service
from tests.installed import skip_but_on_ci

NOBODY = 65534


def wanted(folder: Path = Path("/var/lib/postal"), program: str = "/bin/true", **groups) -> Service:
    given = {"web_hostname": "postal.example.com", "smtp_hostname": "mx.postal.example.com"}
    config = conf.parse({"postal": given, **groups}, {}, folder, folder / "postal.yml")
    return Service(Path(program), config)


# --- units ---


@pytest.fixture
def units(tmp_path) -> list[Path]:
    """The units as installed, two workers among them; the drop-in lies beside them."""
    written = [path for path, _ in service.write(tmp_path, wanted().units())]
    worker = next(path for path in written if path.name == "postal-worker@.service")
    instance = shutil.copy(worker, worker.with_name("postal-worker@2.service"))
    return [path for path in [*written, instance] if path.suffix in (".service", ".target")]


def analyzed(*words: str, units: list[Path]) -> str:
    """What systemd-analyze prints; fails as it does."""
    if not shutil.which("systemd-analyze"):
        skip_but_on_ci("systemd-analyze is not installed")
    done = subprocess.run(
        ["systemd-analyze", *words, *(path.name for path in units)],
        cwd=units[0].parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_units_are_valid(units):
    assert {path.name for path in units} > {
        "postal-server.service",
        "postal.target",
        "postal-worker@.service",
    }
    assert analyzed("verify", "--man=no", units=units) == ""


def test_each_service_is_exposed_to_less_than_3(units):
    services = [path for path in units if path.suffix == ".service"]
    said = analyzed("security", "--offline=true", "--threshold=30", "--no-pager", units=services)
    assert said.count("Overall exposure level") == len(services) == 5


def test_a_unit_without_the_common_part_would_be_exposed(units):
    (units[0].parent / "postal-.service.d/10-common.conf").unlink()
    with pytest.raises(AssertionError, match="MEDIUM"):
        analyzed("security", "--offline=true", "--threshold=30", "--no-pager", units=units[:1])


def test_units_name_program_configuration_user_and_folders():
    database = {"storage": {"url": "sqlite:////srv/mail/postal.sqlite3"}}
    text = "".join(wanted(program="/opt/postal/bin/postal-server", **database).units().values())
    for role in ("run", "web", "smtp", "worker"):
        assert (
            f"\nExecStart=/opt/postal/bin/postal-server --config /var/lib/postal/postal.yml {role}\n" in text
        )
    assert "\nUser=postal\n" in text
    assert "\nReadWritePaths=/var/lib/postal /srv/mail\n" in text
    assert "\nStateDirectory=postal\n" in text


@pytest.mark.parametrize("role", ["web", "smtp", "worker@"])
def test_one_way_to_run_stops_before_the_other_starts(role):
    """They have the same ports. systemd stops before it starts whichever of the two has the `After`."""
    text = wanted().units()[service.UNITS / f"postal-{role}.service"]
    assert "After=postal-server.service" in text.splitlines()


# --- writing ---


def test_files_are_written_once_and_everybody_may_read_them(tmp_path):
    files = wanted().units() | wanted().hook() | wanted().sysusers()
    before = os.umask(0o077)
    try:
        first = dict(service.write(tmp_path, files))
    finally:
        os.umask(before)
    assert set(first.values()) == {Result.WRITTEN}
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert {modes[path] for path in modes if path.is_dir()} == {0o755}
    assert modes.pop(tmp_path / service.HOOK) == 0o755
    assert {modes[path] for path in modes if path.is_file()} == {0o644}
    assert set(dict(service.write(tmp_path, files)).values()) == {Result.CURRENT}


def test_another_version_is_written_over_what_nobody_changed(tmp_path):
    dict(service.write(tmp_path, wanted().units()))
    moved = wanted(program="/srv/postal/bin/postal-server").units()
    results = {path.name: result for path, result in service.write(tmp_path, moved)}
    assert results["postal-web.service"] is Result.WRITTEN
    assert results["postal.target"] is Result.CURRENT
    assert "/srv/postal/bin" in (tmp_path / service.UNITS / "postal-web.service").read_text()


@pytest.mark.parametrize(
    "text", ["[Service]\nExecStart=/bin/false\n", "", "changed"], ids=["own", "empty", "line"]
)
def test_what_a_person_changed_stays(tmp_path, text):
    path = tmp_path / service.UNITS / "postal-web.service"
    dict(service.write(tmp_path, wanted().units()))
    path.write_text(path.read_text().replace("PrivateUsers=yes", "Nice=5") if text == "changed" else text)
    before = path.read_text()
    results = dict(service.write(tmp_path, wanted(program="/srv/postal-server").units()))
    assert results[path] is Result.CHANGED
    assert list(results.values()).count(Result.CHANGED) == 1
    assert path.read_text() == before


# --- what cannot be a service ---


@pytest.mark.parametrize("folder", ["/root/postal", "/home/ann/postal", "/tmp/postal"])
def test_paths_that_the_service_cannot_reach_are_refused(monkeypatch, folder):
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    service.require_visible(wanted())
    for unreachable in (wanted(Path(folder)), wanted(program=f"{folder}/bin/postal-server")):
        with pytest.raises(ConfigurationError, match=folder):
            service.require_visible(unreachable)


def test_a_link_to_a_folder_that_the_service_cannot_reach_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(service, "HIDDEN", (tmp_path / "home",))
    (tmp_path / "postal").symlink_to(tmp_path / "home/ann")
    with pytest.raises(ConfigurationError, match=f"^{tmp_path}/postal: services cannot see"):
        service.require_visible(wanted(tmp_path / "postal"))


@pytest.mark.parametrize("folder", ["/etc", "/var/lib", "/"])
def test_a_folder_of_the_system_is_not_given_to_the_service(folder):
    service.require_own_folders(wanted())
    database = {"storage": {"url": f"sqlite:///{Path(folder) / 'postal.sqlite3'}"}}
    for shared in (wanted(Path(folder)), wanted(**database)):
        with pytest.raises(ConfigurationError, match=f"^{folder}: .* /var/lib/postal"):
            service.require_own_folders(shared)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("postal.web_hostname", "postal.example.com;"),
        ("postal.smtp_hostname", "$(id>&2)"),
        ("postal.smtp_hostname", "-help"),
        ("dns.track_domain", "track.example.com}server{root"),
        ("web_server.default_bind_address", "127.0.0.1:1; error_log /etc/cron.d/postal; #"),
    ],
)
def test_root_runs_nothing_that_the_configuration_says(name, value):
    """The service's user may write it, but not what root runs."""
    group, key = name.split(".")
    hosts = {"web_hostname": "postal.example.com", "smtp_hostname": "mx.postal.example.com"}
    groups = {"postal": hosts, group: {**(hosts if group == "postal" else {}), key: value}}
    folder = Path("/var/lib/postal")
    config = conf.parse(groups, {}, folder, folder / "postal.yml")
    files = Service(Path("/bin/true"), config)
    for write in (files.hook, files.site):
        with pytest.raises(ConfigurationError, match=f"^{name}: "):
            write()


@pytest.mark.parametrize("path", ["two words/postal.yml", "100%/postal.yml", "postal.yml\nUser=root"])
def test_paths_that_a_unit_cannot_name_are_refused(path):
    config = conf.parse({}, {}, Path("/var/lib/postal"), Path("/var/lib/postal") / path)
    with pytest.raises(ConfigurationError, match=r"^the configuration: "):
        Service(Path("/bin/true"), config).units()


def test_a_python_of_a_home_folder_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "base_prefix", "/root/.pyenv/versions/3.11.7")
    with pytest.raises(ConfigurationError, match=r"/root/\.pyenv.*/opt/postal"):
        service.require_visible(wanted())


def test_an_unknown_user_is_named():
    with pytest.raises(ConfigurationError, match=r"^--user: there is no user nobody-of-that-name\.$"):
        service.require_user("nobody-of-that-name")


def test_only_root_may_install(tmp_path):
    if os.geteuid():
        with pytest.raises(ConfigurationError, match="Only root"):
            service.require_systemd()
        return
    os.seteuid(NOBODY)
    try:
        with pytest.raises(ConfigurationError, match="Only root"):
            service.require_systemd()
    finally:
        os.seteuid(0)


def test_a_machine_without_systemd_is_no_place(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no systemd"):
        service.require_systemd()


# --- certbot's hook ---


@pytest.mark.parametrize("name", ["tls_certificate_path", "tls_private_key_path"])
def test_certbots_own_folder_is_no_place_for_the_hook(name):
    paths = {name: "/etc/letsencrypt/live/mx.postal.example.com/some.pem"}
    with pytest.raises(ConfigurationError, match=rf"^smtp_server\.{name}: only root may .*/var/lib/postal"):
        wanted(smtp_server=paths).hook()


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ("echo Hostname mx.postal.example.com does NOT match certificate; exit 0", 0, "not for mx."),
        ("echo Hostname mx.postal.example.com does NOT match certificate; exit 1", 0, "not for mx."),
        ("echo Could not read certificate >&2; exit 1", 1, "Could not read"),
    ],
    ids=["no", "no and 1", "error"],
)
def test_the_hook_understands_each_version_of_openssl(monkeypatch, tmp_path, answer, status, said):
    for name, text in {
        "hook": wanted().hook()[service.HOOK],
        "openssl": f"#!/bin/sh\n{answer}\n",
        "fullchain.pem": "a certificate\n",
        "privkey.pem": "a key\n",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("RENEWED_LINEAGE", str(tmp_path))
    done = subprocess.run([tmp_path / "hook"], capture_output=True, text=True)
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done
