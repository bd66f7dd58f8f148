"""Sphinx directives that generate reference pages from the tables in the code.

`{postal-settings}` lists the settings of `anymail_postal.conf`, `{postal-configuration}` the keys of
`postal_server.conf`, `{postal-commands}` the commands of `postal-server`. New settings, keys and commands
appear in the documentation with the next build.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from anymail_postal import conf as library
from postal_server import cli
from postal_server import conf as server

# Topic -> the first setting under it; the settings stand in the order of the table.
TOPICS = {
    "Sending": "POSTAL_API_KEY",
    "Receiving": "POSTAL_WEBHOOK_KEY",
    "Replies": "POSTAL_STRIP_REPLIES",
}
# Descriptions of the groups of keys.
GROUPS = {
    "postal": "The installation.",
    "web_server": "The web process: API, tracking, administration.",
    "worker": "Worker processes: deliveries, webhooks, scheduled tasks.",
    "main_db": "Postal's own main database, which only `postal-server import --live` reads.",
    "message_db": "Postal's own message databases, which only `postal-server import --live` reads.",
    "smtp_server": "The SMTP process: incoming mail and submission.",
    "dns": "Names in DNS records, and the resolver.",
    "smtp": "The host for the installation's own notices (test it with `postal-server test-app-smtp`).",
    "smtp_client": "Delivery to other hosts.",
    "rspamd": "Spam scanner.",
    "spamd": "Spam scanner (SpamAssassin).",
    "clamav": "Virus scanner.",
    "logging": "Logs.",
    "rails": "Named after the framework of Postal.",
    "storage": "The database. Not in Postal.",
    "login": "Limits for logins. Not in Postal.",
    "delivery": "Where mail is delivered. Not in Postal.",
    "shaping": "Rate limits for destinations. Not in Postal.",
    "bounces": "What failures mean. Not in Postal.",
    "suppression": "Who comes on suppression lists, and for how long. Not in Postal.",
    "hold": "Mail that waits for a person. Not in Postal.",
    "tracking": "Open and click tracking. Not in Postal.",
    "tls_reports": "TLS reports to other domains (RFC 8460). Not in Postal.",
    "control": "The interface of the test fixture. Not in Postal.",
}


def settings_markdown() -> str:
    """A `confval` for each setting, under its topic."""
    starts = {name: topic for topic, name in TOPICS.items()}
    pieces = []
    for setting in library.SETTINGS:
        if setting.name in starts:
            pieces.append(f"## {starts[setting.name]}\n")
        pieces.append(_setting(setting))
    return "\n".join(pieces)


def _setting(setting: library.Setting[Any]) -> str:
    facts = f"{setting.values} · default {_default(setting)} · check {setting.check}"
    lines = [f"````{{confval}} {setting.name}", "", f"*{facts}*", "", setting.says]
    if setting.bare:
        lines.append(f"Also possible as the top-level setting `{setting.name}`.")
    if setting.scope == "global":
        lines.append("Cannot be set for a single server, only in `ANYMAIL`.")
    return "\n".join([*lines, "````", ""])


def _default(setting: library.Setting[Any]) -> str:
    if setting.inherits:
        return f"Anymail's `{setting.inherits.upper()}`"
    if isinstance(setting.default, timedelta):
        return f"`timedelta(hours={setting.default // timedelta(hours=1)})`"
    return f"`{json.dumps(setting.default) if isinstance(setting.default, str) else repr(setting.default)}`"


def configuration_markdown() -> str:
    """A section for each group of `postal.yml`, with a `confval` for each of its keys."""
    return "\n".join(_group(name, kind) for name, kind in server.GROUPS.items())


def _group(name: str, kind: type) -> str:
    lines = [f"## {name}", "", GROUPS[name], ""]
    for item in dataclasses.fields(kind):
        lines += [
            f"````{{confval}} {name}.{item.name}",
            "",
            f"{item.metadata['about']} Default: {_shown(item.default)}.",
            "````",
            "",
        ]
    return "\n".join(lines)


def _shown(default: Any) -> str:
    """A default as YAML has it."""
    if default is None or default in ("", ()):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`[{', '.join(default)}]`" if isinstance(default, tuple) else f"`{default}`"


def commands_markdown() -> str:
    """The commands of `postal-server`, with Postal's names for them."""
    postals = {ours: name for name, ours in cli.ALIASES.items() if name not in cli.COMMANDS}
    rows = [
        f"| `{name}`{f', `{postals[name]}`' if name in postals else ''} | {about} |"
        for name, about in cli.COMMANDS.items()
    ]
    return "\n".join(["| command | does |", "| --- | --- |", *rows, ""])


class Generated(SphinxDirective):
    """The base of the directives."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(self.markdown(), allow_section_headings=True)

    def markdown(self) -> str:
        raise NotImplementedError


class Settings(Generated):
    def markdown(self) -> str:
        return settings_markdown()


class Configuration(Generated):
    def markdown(self) -> str:
        return configuration_markdown()


class Commands(Generated):
    def markdown(self) -> str:
        return commands_markdown()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("postal-settings", Settings)
    app.add_directive("postal-configuration", Configuration)
    app.add_directive("postal-commands", Commands)
    return {"parallel_read_safe": True}
