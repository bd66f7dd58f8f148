"""Changes keys of a `postal.yml`, and leaves every other byte of it as its owner wrote it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from postal_server import conf, files
from postal_server.conf_environment import read
from postal_server.errors import ConfigurationError

from .modes import DEVELOPMENT
from .values import without_user

HEADER = """\
# Configuration of postal-server. Keys are Postal's own, with ours beside them; all of them are described
# in the documentation. Environment variables win: POSTAL_WEB_HOSTNAME, WEB_SERVER_DEFAULT_PORT, ...
version: 2
"""
COMMENTS = {
    "postal.allowed_request_destinations": "Private hosts and networks that webhooks and posts may reach.",
    "delivery.mode": "catch: all mail stays here. allowlist: all but mail to delivery.allowlist stays here.\n"
    "mx: mail goes to the internet. relays: it goes to postal.smtp_relays.",
}
INDENT = 2  # columns, in groups that are new
LINE_END = "\n"


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
        self.config, self.own = (conf.read_text(self.text, path, each) for each in (environ, {}))
        self.document: Mapping[str, Any] = yaml.safe_load(self.text) or {}

    def _read(self) -> str:
        with self._real.open(encoding="utf-8", newline="") as file:
            return file.read()

    @property
    def is_of_2019(self) -> bool:
        """Has it the layout before version 2?"""
        return bool(self.document) and self.document.get("version", 1) == 1

    def has(self, key: str) -> bool:
        """Does the file set this key?"""
        group, name = key.split(".")
        return (self.document.get(group) or {}).get(name) is not None

    def chosen(self, key: str) -> Any:
        """What a person set this key to, here or in the environment; None if it is as in development."""
        value = value_of(self.config, key)
        is_set = self.has(key) or read(variable(key), self._environ) is not None
        return value if is_set and value != DEVELOPMENT.get(key) else None

    def changed(self, values: Mapping[str, Any]) -> str:
        """The text with these keys set; None takes a key away. Raises `ConfigurationError`."""
        if not values:
            return self.text
        if self.is_of_2019:
            raise ConfigurationError(
                f"{self.path}: has the layout of 2019 (no `version: 2`), which this command does not change. "
                f"Set by hand: {', '.join(values)}."
            )
        self._require_once(values)
        text = self.text
        if not self.document:
            text += f"{'' if text.endswith(LINE_END) or not text else LINE_END}{HEADER}"
        for key, value in values.items():
            text = _removed(text, key) if value is None else _with(text, key, value)
        self._require_only(values, text)
        return text

    def _require_once(self, keys: Iterable[str]) -> None:
        """Raise `ConfigurationError` for a key that the file has twice: YAML lets the last one count."""
        document = yaml.compose(self.text, yaml.SafeLoader)
        for key in keys:
            node = document
            for name in key.split("."):
                pairs = node.value if isinstance(node, yaml.MappingNode) else []
                lines = [str(each.start_mark.line + 1) for each, _ in pairs if each.value == name]
                if len(lines) > 1:
                    raise ConfigurationError(
                        f"{self.path}: has {name} more than once, in lines {', '.join(lines)}. "
                        "Keep one, and run this again."
                    )
                node = _child(node, name)

    def _require_only(self, values: Mapping[str, Any], text: str) -> None:
        """Raise `ConfigurationError` if a rare way of writing YAML has let the change go wrong."""
        expected = {name: dict(group) if isinstance(group, Mapping) else group
                    for name, group in self.document.items()}  # fmt: skip
        expected.setdefault("version", 2)
        for key, value in values.items():
            group, name = key.split(".")
            keys = expected[group] = expected.get(group) or {}
            if value is None:
                keys.pop(name, None)
            else:
                keys[name] = _plain(value)
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError:
            found = None
        if _without_empty(found or {}) != _without_empty(expected):
            wanted = ", ".join(f"{key}: {shown(key, value)}" for key, value in values.items())
            raise ConfigurationError(
                f"{self.path}: cannot be changed by this command. Set by hand: {wanted}."
            )

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


def variable(key: str) -> str:
    """The environment variable that wins over this key."""
    return key.replace(".", "_").upper()


def value_of(config: conf.Config, key: str) -> Any:
    """The value of a key such as `postal.web_hostname`."""
    group, name = key.split(".")
    return getattr(getattr(config, group), name)


def shown(key: str, value: Any) -> str:
    """A value as it may be shown: without the passwords of URLs."""
    if value is None or value == ():
        return "nothing"
    if key == "storage.url":
        return without_user(str(value))
    if isinstance(value, tuple):
        return ", ".join(without_user(each) if "//" in each else each for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: group for name, group in document.items() if group not in (None, {})}


# Text


def _with(text: str, key: str, value: Any) -> str:
    """The text with this key set, in its place or behind the last key of its group."""
    group_name, name = key.split(".")
    line_end = "\r\n" if "\r\n" in text else LINE_END
    group = _child(yaml.compose(text, yaml.SafeLoader), group_name)
    if group is None:
        text += "" if text.endswith("\n") else line_end
        return f"{text}{line_end}{group_name}:{_lines(key, value, INDENT, line_end)}{line_end}"
    if not isinstance(group, yaml.MappingNode) or not group.value:
        start, end = _start(group), _end(group, text)
        return f"{text[:start]}{_lines(key, value, INDENT, line_end)}{text[end:]}"
    found = _child(group, name)
    if found is not None:
        return _replaced(text, found, value, line_end)
    end = _end(group, text)
    if group.flow_style:
        return f"{text[: end - 1]}, {name}: {_dumped(value)}{text[end - 1 :]}"
    end = _end_of_line(text, end)
    return f"{text[:end]}{_lines(key, value, group.start_mark.column, line_end)}{text[end:]}"


def _replaced(text: str, node: yaml.Node, value: Any, line_end: str) -> str:
    start, end = _start(node), _end(node, text)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and value:
        kept = [each.value for each in node.value]
        if kept and list(value[: len(kept)]) == kept:  # items are added: the others keep their comments
            start = end = _end_of_line(text, end)
            value = value[len(kept) :]
        else:
            start -= node.start_mark.column + len(line_end)
        indent = f"{line_end}{' ' * node.start_mark.column}"
        return text[:start] + "".join(f"{indent}- {_dumped(each)}" for each in value) + text[end:]
    space = " " if text[:start].endswith(":") else ""
    return f"{text[:start]}{space}{_dumped(value)}{text[end:]}"


def _removed(text: str, key: str) -> str:
    """The text without this key's lines."""
    group_name, name = key.split(".")
    group = _child(yaml.compose(text, yaml.SafeLoader), group_name)
    for key_node, value_node in group.value if isinstance(group, yaml.MappingNode) else []:
        if key_node.value == name:
            assert isinstance(group, yaml.MappingNode)
            start, end = key_node.start_mark.index, _end(value_node, text)
            if group.flow_style:
                end += len(text[end:]) - len(text[end:].lstrip(", "))
                return text[:start] + text[end:]
            start -= key_node.start_mark.column
            return text[:start] + text[_end_of_line(text, end) :].removeprefix("\r").removeprefix("\n")
    return text


def _lines(key: str, value: Any, column: int, line_end: str) -> str:
    """A line break and the lines of a new key, with its comment."""
    comment = [f"# {line}" for line in COMMENTS[key].splitlines()] if key in COMMENTS else []
    lines = [*comment, f"{key.partition('.')[2]}: {_dumped(value)}"]
    return "".join(f"{line_end}{' ' * column}{line}" for line in lines)


def _dumped(value: Any) -> str:
    return yaml.safe_dump([_plain(value)], default_flow_style=True, width=float("inf")).strip()[1:-1]


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _start(node: yaml.Node) -> int:
    index: int = node.start_mark.index
    return index


def _end(node: yaml.Node, text: str) -> int:
    """Where the text of a node ends, without the comments and empty lines behind it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last, text)
    end: int = node.end_mark.index
    is_block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return len(text[:end].rstrip()) if is_block else end


def _end_of_line(text: str, index: int) -> int:
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1] == "\r" else end
