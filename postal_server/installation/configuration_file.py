"""The configuration file of an installation: what it says, and another text in its place."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from postal_server import conf, files
from postal_server.conf_environment import read
from postal_server.errors import ConfigurationError

from .modes import DEVELOPMENT


class ConfigurationFile:
    """A configuration file as it is now; one that does not exist yet is empty.

    `config` is what it says with the environment, which wins; `own` what it says alone. Raises
    `ConfigurationError` if it cannot be read.
    """

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.path = path
        self._real = Path(os.path.realpath(path))  # what a link leads to is replaced, not the link
        self.exists = os.path.lexists(path)
        self._environ = environ
        try:
            self.text = self._read() if self.exists else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {conf.why_unreadable(error)}.") from error
        self.config = conf.read_text(self.text, path, environ)
        self.own = conf.read_text(self.text, path, {}, is_whole=False)
        self.document: Mapping[str, Any] = yaml.safe_load(self.text) or {}

    def _read(self) -> str:
        with self._real.open(encoding="utf-8", newline="") as file:
            return file.read()

    def has(self, key: str) -> bool:
        """Does the file set this key?"""
        group, name = key.split(".")
        return (self.document.get(group) or {}).get(name) is not None

    def chosen(self, key: str) -> Any:
        """What a person set this key to, here or in the environment; None if it is as in development."""
        value = value_of(self.config, key)
        is_set = self.has(key) or read(conf.variable(key), self._environ) is not None
        return value if is_set and value != DEVELOPMENT.get(key) else None

    @contextlib.contextmanager
    def replaced_by(self, text: str) -> Iterator[Path | None]:
        """Write `text` beside the file; `put_in_place` takes what this yields (None: no change).

        The file is never half written, and keeps its mode. What was not put in place is removed.
        """
        if self.exists and text == self.text:
            yield None
            return
        draft = self._real.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            files.write_private(draft, text.encode())
            if self.exists:
                draft.chmod(stat.S_IMODE(self._real.stat().st_mode))
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def require_unchanged(self) -> None:
        """Raise `ConfigurationError` if somebody has changed the file since it was read."""
        if self.exists and self._read() != self.text:
            raise ConfigurationError(f"{self.path}: was changed by somebody else meanwhile. Run this again.")

    @contextlib.contextmanager
    def put_in_place(self, draft: Path | None) -> Iterator[None]:
        """Let the draft be the file (None: no change). If the block fails, the file of before is back."""
        if draft is None:
            yield
            return
        before = draft.with_name(f"{draft.name}.before")
        try:
            if self.exists:
                shutil.copy2(self._real, before)
            self._replace(draft)
            try:
                yield
            except BaseException:
                before.replace(self._real) if self.exists else self._real.unlink()
                raise
        finally:
            before.unlink(missing_ok=True)

    def _replace(self, draft: Path) -> None:
        try:
            draft.replace(self._real)
        except OSError as error:
            raise ConfigurationError(
                f"{self.path}: cannot be replaced ({error.strerror}). "
                "If the file is mounted by itself, mount its folder instead."
            ) from error


def value_of(config: conf.Config, key: str) -> Any:
    """The value of a key such as `postal.web_hostname`."""
    group, name = key.split(".")
    return getattr(getattr(config, group), name)
