"""Changes values of a `postal.yml`, and leaves every other byte of it as its owner wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import yaml

from postal_server.errors import BackupError


def with_values(text: str, values: Mapping[str, str]) -> str:
    """The text with these keys set. Raises `BackupError` for the layout of 2019."""
    for key, value in values.items():
        group, name = key.split(".")
        document = yaml.compose(text, yaml.SafeLoader)
        if (yaml.safe_load(text) or {"version": 2}).get("version", 1) == 1:
            raise BackupError(f"{key}: has to be {value}, and a file of the layout of 2019 is not changed.")
        found = _child(document, group)
        old = _child(found, name)
        new = json.dumps(value)
        if old is not None:
            text = f"{text[: old.start_mark.index]}{new}{text[old.end_mark.index :]}"
        elif isinstance(found, yaml.MappingNode) and not found.flow_style:
            start, column = found.start_mark.index, found.start_mark.column
            text = f"{text[:start]}{name}: {new}\n{' ' * column}{text[start:]}"
        else:
            text = f"{text}\n{group}:\n  {name}: {new}\n"
    return text


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)
