"""Chapter 3: connect a Django project."""

from __future__ import annotations

from .stranger import Stranger


def test_the_checks_find_nothing_wrong(project: Stranger) -> None:
    assert "no issues" in project.manage("check")


def test_postal_check_finds_server_key_and_sender(project: Stranger) -> None:
    said = project.run(*project.command("docs/installation.md", "python", "manage.py", "postal_check"))
    assert "FAIL" not in said
    assert "knows the key" in said
    assert "mail may be sent from hello@example.test" in said
    assert "the path for Postal's Webhooks is /anymail/postal/tracking/" in said
