"""Chapter 1: install."""

from __future__ import annotations

from importlib.metadata import version

from .stranger import Stranger


def test_the_command_is_there_and_tells_its_version(installed: Stranger) -> None:
    assert installed.run("postal-server", "--version").strip() == version("anymail-postal")
