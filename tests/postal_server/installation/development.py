"""A new installation for development, for tests that want its files."""

from __future__ import annotations

from pathlib import Path

from postal_server import conf, files
from postal_server.installation import changes
from postal_server.installation.answers import Answers
from postal_server.installation.configuration_file import ConfigurationFile


def write_configuration(path: Path) -> None:
    """The configuration file that `initialize` writes without options."""
    files.write_private(path, changes.plan(Answers(), ConfigurationFile(path, {}), {}).text.encode())


def installation(folder: Path, **environ: str) -> conf.Config:
    """Configuration and keys in `folder`, without a database."""
    write_configuration(folder / "postal.yml")
    config = conf.load(folder / "postal.yml", environ)
    files.write_secrets(config)
    return config
