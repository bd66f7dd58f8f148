"""compose.yaml, as a real compose reads it: two ways to run the server, with no more rights than needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from .readme import ROOT

WEB = "127.0.0.1:5000:5000"
SMTP = ["127.0.0.1:2525:2525", "127.0.0.1:2587:2587", "127.0.0.1:4465:4465"]
ROLES = ("web", "smtp", "worker")
SERVERS = ("postal", *ROLES)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """compose.yaml beside a podman that knows its version, which is all that is asked of it."""
    folder = tmp_path_factory.mktemp("compose")
    shutil.copy(ROOT / "compose.yaml", folder)
    podman = folder / "podman"
    podman.write_text("#!/bin/sh\necho podman version 5.4.2\n")
    podman.chmod(0o755)
    return folder


@cache
def services(project: Path, *profiles: str) -> dict[str, Any]:
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    done = subprocess.run(
        [sys.executable, "-m", "podman_compose", "--podman-path", str(project / "podman"), *chosen, "config"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def test_without_a_profile_there_is_one_container_on_sqlite(project: Path) -> None:
    found = services(project)
    assert list(found) == ["postal"]
    assert "secrets" not in found["postal"]
    assert found["postal"]["ports"] == [WEB, *SMTP]
    assert found["postal"]["healthcheck"]["test"] == ["CMD", "postal-server", "health"]


def test_the_profile_has_postgresql_and_a_container_for_each_role(project: Path) -> None:
    found = services(project, "postgres")
    assert set(found) == {"postgres", *SERVERS}
    for name in ROLES:
        assert found[name]["command"] == [name]
        assert found[name]["healthcheck"]["test"] == ["CMD", "postal-server", "health", name]
        assert found[name]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        assert found[name]["environment"]["STORAGE_URL_FILE"] == "/run/secrets/storage_url"
        assert found[name]["environment"]["RAILS_SECRET_KEY_FILE"] == "/run/secrets/secret_key"
        assert found[name]["secrets"] == ["storage_url", "secret_key"]
    assert found["worker"]["scale"] == 2
    assert found["web"]["ports"] == [WEB]
    assert found["smtp"]["ports"] == SMTP
    assert "ports" not in found["worker"]
    assert "ports" not in found["postgres"]


def test_containers_of_the_server_have_no_rights(project: Path) -> None:
    for name in SERVERS:
        service = services(project, "postgres")[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["tmpfs"] == "/tmp"
        assert service["restart"] == "unless-stopped"
        assert "data:/data" in service["volumes"]
        assert "certificates:/certificates:ro" in service["volumes"]


def test_variables_publish_other_ports_and_mount_other_certificates(project: Path) -> None:
    other = project / "other"
    other.mkdir()
    for name in ("compose.yaml", "podman"):
        shutil.copy(project / name, other)
    (other / ".env").write_text(
        "PUBLISHED_SMTP=25\nPUBLISHED_SUBMISSION=587\nPUBLISHED_SMTPS=465\nCERTIFICATES=/etc/postal/certificates\n"
    )
    service = services(other)["postal"]
    assert service["ports"] == [WEB, "25:2525", "587:2587", "465:4465"]
    assert "/etc/postal/certificates:/certificates:ro" in service["volumes"]
