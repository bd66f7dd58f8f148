"""Chapter 2: initialize the mail server, start it, and log in to its administration."""

from __future__ import annotations

import stat

from .stranger import Browser, Stranger
from .talk import printed_settings


def test_initialize_makes_a_mail_server_and_names_its_domain(installed: Stranger, initialized: str) -> None:
    assert "Made mail server example/main with domain example.test." in initialized
    assert "only while all mail is caught here (delivery.mode: catch)" in initialized


def test_the_configuration_is_one_that_catches_all_mail_on_this_machine(
    installed: Stranger, initialized: str
) -> None:
    configuration = installed.read("postal.yml")
    assert "default_port: 5000\n  default_bind_address: 127.0.0.1" in configuration
    assert "default_port: 2525" in configuration
    assert "mode: catch" in configuration


def test_what_it_prints_leads_a_project_here(installed: Stranger, initialized: str) -> None:
    settings = printed_settings(initialized)
    assert installed.here('"POSTAL_API_URL": "http://localhost:5000"') in settings
    assert '"WEBHOOK_SECRET": "user:a-long-random-password"' in settings
    assert '"POSTAL_REPLY_DOMAIN": "example.test"' in settings
    assert "postal-server run" in initialized
    assert "postal-server make-user" in initialized


def test_no_other_user_of_the_machine_reads_mail_and_keys(installed: Stranger, server: Browser) -> None:
    for name in ("postal.yml", "postal.sqlite3", "postal.sqlite3-wal", "secret.key", "signing.key"):
        assert stat.S_IMODE((installed.folder / name).stat().st_mode) == 0o600, name


def test_the_webhook_and_the_route_of_the_command_are_there(installed: Stranger, server: Browser) -> None:
    assert "127.0.0.1" in installed.run(
        *installed.command("docs/server.md", "postal-server", "webhooks", "list")
    )
    assert "reply@example.test" in server.get("/admin/postal_server/route/").text
