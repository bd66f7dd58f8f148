"""Draw the state diagrams of docs/engine.md from the tables that the code runs by.

`python -m tests.diagrams` writes them to docs/_static/states/; it needs Graphviz's `dot` (Debian: graphviz).
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from postal_server.smtpd import connection_state as smtp
from postal_server.web import connection_state as http

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "_static" / "states"
Transition = tuple[str, str, str]  # state, what happens, next state
OUTSIDE = "not queued"

HEAD = """digraph {
  rankdir=LR; bgcolor=transparent; nodesep=0.35; ranksep=0.9;
  node [shape=box, style="rounded,filled", fillcolor="#f4f6f8", color="#57606a"];
  node [fontname="sans-serif", fontsize=11];
  edge [color="#57606a", fontcolor="#57606a", fontname="sans-serif", fontsize=9];
"""


def transitions() -> Mapping[str, Iterable[Transition]]:
    """The transitions of each diagram by its file's name. Those to the same state are left out."""
    from postal_server.models import queue_state  # Django is set up by now

    return {
        "queue_row": [
            (_words(each.before or OUTSIDE), _words(each.event), _words(each.after or OUTSIDE))
            for each in queue_state.TRANSITIONS
        ],
        "smtp_connection": [
            (_words(state), _words(event), _words(following))
            for (state, event), following in smtp.TRANSITIONS.items()
            if following is not state
        ],
        "smtp_transaction": [
            (_words(phase), verb or "unknown command", _words(following))
            for phase, row in smtp.PHASES.items()
            for verb, following in row.items()
            if isinstance(following, smtp.Phase) and following is not phase
        ],
        "http_connection": [
            (_words(state), _words(event), _words(following))
            for (state, event), following in http.TRANSITIONS.items()
            if following is not state
        ],
    }


def _words(member: object) -> str:
    return str(getattr(member, "name", member)).lower().replace("_", " ")


def dot(found: Iterable[Transition]) -> str:
    """The diagram in Graphviz's language: one arrow for all that leads from a state to another."""
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for state, event, following in found:
        labels[state, following].append(event)
    arrows = []
    for (state, following), events in labels.items():
        label = "\\n".join(events)
        arrows.append(f'  "{state}" -> "{following}" [label="{label}"];\n')
    return HEAD + "".join(arrows) + "}\n"


def main() -> None:
    """Write all diagrams, as text and as pictures."""
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    FOLDER.mkdir(exist_ok=True)
    for name, found in transitions().items():
        source = FOLDER / f"{name}.dot"
        source.write_text(dot(found), "utf-8")
        subprocess.run(["dot", "-Tsvg", "-o", source.with_suffix(".svg"), source], check=True)


if __name__ == "__main__":
    main()
