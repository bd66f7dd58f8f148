"""Changes keys in the text of a `postal.yml`, and leaves every other byte of it as its owner wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from postal_server.errors import ConfigurationError

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


class CannotChange(ConfigurationError):
    """A text cannot be changed, and `why`. The message says what to set by hand."""

    def __init__(self, why: str, values: Mapping[str, Any]) -> None:
        wanted = ", ".join(f"{key}: {shown(key, value)}" for key, value in values.items())
        super().__init__(f"{why} Set by hand: {wanted}.")
        self.why = why


def with_values(text: str, values: Mapping[str, Any], path: Path) -> str:
    """The text of the file at `path` with these keys set; None takes a key away.

    Raises `CannotChange`, or another `ConfigurationError` for a key that the text has twice.
    """
    if not values:
        return text
    before: Mapping[str, Any] = yaml.safe_load(text) or {}
    if before and before.get("version", 1) == 1:
        raise CannotChange(
            f"{path}: has the layout of 2019 (no `version: 2`), which this command does not change.", values
        )
    _require_once(text, values, path)
    after = text
    if not before:
        after += f"{'' if text.endswith(LINE_END) or not text else LINE_END}{HEADER}"
    for key, value in values.items():
        after = _removed(after, key) if value is None else _with(after, key, value)
    if not _says(after, before, values):
        raise CannotChange(f"{path}: cannot be changed by this command.", values)
    return after


def _require_once(text: str, keys: Iterable[str], path: Path) -> None:
    """Raise `ConfigurationError` for a key that the text has twice: YAML lets the last one count."""
    document = yaml.compose(text, yaml.SafeLoader)
    for key in keys:
        node = document
        for name in key.split("."):
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            lines = [str(each.start_mark.line + 1) for each, _ in pairs if each.value == name]
            if len(lines) > 1:
                raise ConfigurationError(
                    f"{path}: has {name} more than once, in lines {', '.join(lines)}. "
                    "Keep one, and run this again."
                )
            node = _child(node, name)


def _says(text: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Does the text say what it did before, and these values? Rare ways of writing YAML go wrong."""
    expected = {name: dict(group) if isinstance(group, Mapping) else group
                for name, group in before.items()}  # fmt: skip
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
    return _without_empty(found or {}) == _without_empty(expected)


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
