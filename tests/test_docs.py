"""The documentation names everything that there is, and nothing that there is not."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.dispatch import Signal

from anymail_postal import checks, conf, errors, events, pytest_plugin, signals
from benchmarks import compare
from postal_server import cli
from postal_server import conf as server_conf
from postal_server import pytest_plugin as server_pytest_plugin
from tests.drills import production
from tests.each import each

from . import event_table
from .readme import PAGES, ROOT, Block, blocks, command_lines, rows

DOCS = ROOT / "docs"
OURS = ("anymail_postal", "postal_server")
TEXT = {page.name: page.read_text("utf-8") for page in PAGES}
# What Postal does is not what we say of ourselves.
ALL = "\n".join(text for name, text in TEXT.items() if name != "contract.md")


# --- pages made from the code ---


@pytest.fixture(scope="module")
def tables() -> Any:
    """The module that makes them."""
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module("settings_table")
    finally:
        sys.path.remove(str(DOCS))


def test_every_setting_is_listed_with_all_that_its_table_says(tables: Any) -> None:
    page = tables.settings_markdown()
    assert re.findall(r"^`+\{confval\} (\w+)$", page, re.MULTILINE) == [each.name for each in conf.SETTINGS]
    for setting in conf.SETTINGS:
        entry = page.partition(f"{{confval}} {setting.name}\n")[2].partition("\n````")[0]
        assert setting.says in entry
        assert f"*{setting.values} · default " in entry
        assert entry.count(f" · check {setting.check}*") == 1


def test_topics_of_settings_begin_where_they_say(tables: Any) -> None:
    page = tables.settings_markdown()
    assert re.findall(r"^## (.*)\n+`+\{confval\} (\w+)$", page, re.MULTILINE) == list(tables.TOPICS.items())


def test_every_configuration_key_is_listed_with_its_default(tables: Any) -> None:
    page = tables.configuration_markdown()
    keys = [
        f"{name}.{item.name}"
        for name, kind in server_conf.GROUPS.items()
        for item in dataclasses.fields(kind)
    ]
    assert re.findall(r"^`+\{confval\} ([\w.]+)$", page, re.MULTILINE) == keys
    assert "Default: `catch`." in page.partition("{confval} delivery.mode\n")[2].partition("\n````")[0]
    assert list(tables.GROUPS) == list(server_conf.GROUPS)


def test_command_line_knows_every_command_of_the_server() -> None:
    modules = {path.stem for path in (ROOT / "postal_server/management/commands").glob("[!_]*.py")}
    known = {cli.ALIASES.get(name, name).replace("-", "_") for name in cli.COMMANDS}
    assert known - {"shell"} == modules


def test_every_command_of_the_server_is_listed(tables: Any) -> None:
    page = tables.commands_markdown()
    for name, about in cli.COMMANDS.items():
        assert re.search(rf"^\| `{name}`.* \| {re.escape(about)} \|$", page, re.MULTILINE)
    for alias in cli.ALIASES:
        assert f"`{alias}`" in page


@pytest.mark.parametrize(
    ("page", "directive"),
    [
        ("settings.md", "postal-settings"),
        ("configuration.md", "postal-configuration"),
        ("server.md", "postal-commands"),
    ],
)
def test_made_parts_have_their_place(page: str, directive: str) -> None:
    assert f"\n```{{{directive}}}\n```\n" in TEXT[page]


# --- what there is, is named ---


def check_ids() -> set[str]:
    """The ids in the table of settings, and those in the calls of `error`, `warning` and `information`."""
    calls = (
        node for node in ast.walk(ast.parse(inspect.getsource(checks))) if isinstance(node, ast.Constant)
    )
    found = {str(node.value) for node in calls if re.fullmatch(r"[EWI]\d{3}", str(node.value))}
    return found | {setting.check for setting in conf.SETTINGS}


def test_check_ids_listed_are_those_that_the_code_gives() -> None:
    listed = re.findall(r"^\| ([EWI]\d{3}) \|", TEXT["settings.md"], re.MULTILINE)
    assert sorted(listed) == sorted(check_ids())


def manage_commands() -> dict[str, str]:
    """Our commands of manage.py, and the app of each."""
    ours = ("anymail_postal", "anymail_postal.contrib.store")
    return {name: app for name, app in get_commands().items() if app in ours}


def test_manage_commands_listed_are_those_that_there_are() -> None:
    listed = re.findall(r"`(postal_\w+)", "".join(table_column("api.md", "`manage.py`")))
    assert sorted(listed) == sorted(manage_commands())


def test_signals_listed_are_those_that_there_are() -> None:
    listed = re.findall(r"`(\w+)`", "".join(table_column("api.md", "signal")))
    assert sorted(listed) == sorted(name for name, each in vars(signals).items() if isinstance(each, Signal))


def test_exceptions_listed_are_those_that_there_are() -> None:
    listed = re.findall(r"`(\w+)`", "".join(table_column("api.md", "exception")))
    ours = [
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and each.__module__ == errors.__name__ and not name.startswith("_")
        if each is not errors.PostalError
    ]
    assert sorted(listed) == sorted(ours)


def test_exceptions_have_the_parents_listed() -> None:
    for name, parents, _ in table("api.md", "exception"):
        for error in re.findall(r"`(\w+)`", name):
            names = {kind.__name__ for kind in getattr(errors, error).__mro__}
            assert names >= {"PostalError", *re.findall(r"`(\w+)`", parents)}


def test_events_listed_are_those_that_are_read() -> None:
    columns = "".join(name for kind in event_table.HEADERS for name in table_column("receiving.md", kind))
    assert set(re.findall(r"`([A-Z][a-z]\w+)`", columns)) == set(events.EVENT_TYPES)


def test_events_are_listed_as_they_are_read() -> None:
    for table in event_table.tables().values():
        assert f"\n\n{table}\n\n" in TEXT["receiving.md"], "python -m tests.event_table writes it"


def test_fixtures_are_described() -> None:
    for plugin in (pytest_plugin, server_pytest_plugin):
        for name, item in vars(plugin).items():
            if type(item).__name__ == "FixtureFunctionDefinition" or hasattr(item, "_pytestfixturefunction"):
                assert re.search(rf"\b{name}\b", TEXT["testing.md"]), name


def test_public_names_can_be_imported() -> None:
    names = re.findall(
        r"`((?:anymail_postal|postal_server)\.[\w.]+)`", "".join(table_column("api.md", "import"))
    )
    assert len(names) > 15
    for name in names:
        module, _, attribute = name.rpartition(".")
        if name == "anymail_postal.urls":
            importlib.import_module(name)
        else:
            assert hasattr(importlib.import_module(module), attribute), name


def test_each_quirk_of_postal_has_a_verdict() -> None:
    rows = [row for row in table("compatibility.md", "") if row[0].startswith("Q")]
    assert [row[0] for row in rows] == [f"Q{number}" for number in range(1, 49)]
    for number, quirk, verdict, what in rows:
        assert quirk, number
        assert set(verdict.split(", ")) <= {"kept", "fixed", "partly", "option", "absent"}, number
        assert what or verdict == "kept", f"{number}: say what is done"


def test_keys_that_nothing_reads_are_said_to_be_without_effect() -> None:
    code = "\n".join(
        path.read_text("utf-8")
        for path in (ROOT / "postal_server").rglob("*.py")
        if not path.name.startswith("conf")
    )
    # Properties of Config through which these are read.
    code += "\n.max_message_size"
    idle = [
        f"{name}.{item.name}"
        for name, kind in server_conf.GROUPS.items()
        for item in dataclasses.fields(kind)
        if "without effect" not in item.metadata["about"] and not re.search(rf"\.{item.name}\b", code)
    ]
    assert idle == []


# --- what is named, there is ---


def test_settings_named_exist() -> None:
    known = {setting.name for setting in conf.SETTINGS} | {"POSTAL_CONFIG_FILE_PATH", "POSTAL_X", "POSTAL_"}
    known |= set(server_conf.variables())
    assert set(re.findall(r"(?<![A-Z_])POSTAL_[A-Z0-9_]*", ALL)) <= known


def test_configuration_keys_named_exist() -> None:
    keys = {f"{n}.{item.name}" for n, kind in server_conf.GROUPS.items() for item in dataclasses.fields(kind)}
    groups = "|".join(server_conf.GROUPS)
    named = re.findall(rf"`((?:{groups})\.[a-z_]+)(?=[`:])", ALL)
    others = {"postal.yml", "smtp.key", "postal.settings"}  # two files, and the fixture's settings
    assert len(named) > 10
    assert set(named) - others <= keys


def test_attributes_of_events_named_exist() -> None:
    facts = {item.name for item in dataclasses.fields(events.PostalEvent)}
    facts |= {name for name, each in vars(events.PostalEvent).items() if isinstance(each, property)}
    assert set(re.findall(r"event\.postal\.(\w+)", ALL)) <= facts


def python_blocks() -> Iterator[Block]:
    for page in PAGES:
        yield from blocks(page, "python")


@each("block", list(python_blocks()), ids=lambda block: block.name)
def test_python_compiles_and_imports_what_exists(block: Block) -> None:
    tree = ast.parse(block.text, block.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(
            ("anymail_postal", "postal_server")
        ):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module}.{name.name}"


@pytest.mark.parametrize("block", blocks(DOCS / "production.md", "yaml"), ids=lambda block: block.name)
def test_configuration_shown_is_understood(block: Block) -> None:
    config = server_conf.parse(yaml.safe_load(block.text), {}, ROOT)
    assert config.warnings == ()


OTHER_PROGRAMS = {".ci/run", "age", "git", "gpg", "install", "make", "mysqldump", "pip", "podman"}
# All commands of this page are run by tests/drills/test_production.py.
OURS_IN_PRODUCTION = re.compile(r"(?:runuser -u postal -- )?((?:postal-server|python) .*)")
# Those of `postal-server`. All commands of that page are run by tests/drills/test_containers.py.
IN_CONTAINER = re.compile(r"docker compose .*?(?:run --rm \w+|exec \w+ postal-server) (.*)")


def shown_commands() -> Iterator[list[str]]:
    for page in PAGES:
        lines = command_lines(page)
        if page.name == "containers.md":
            lines = [f"postal-server {found[1]}" for found in map(IN_CONTAINER.match, lines) if found]
            assert len(lines) > 3
        if page == production.PAGE:
            lines = [found[1] for found in map(OURS_IN_PRODUCTION.match, lines) if found]
            assert len(lines) > 3
        for line in lines:
            pipeline = shlex.split(line, comments=True)
            yield from (list(words) for is_pipe, words in groupby(pipeline, "|".__eq__) if not is_pipe)


@each("words", list(shown_commands()))
def test_commands_shown_exist_and_take_these_options(words: list[str]) -> None:
    if words[:2] == ["python", "manage.py"]:
        name, app = words[2], get_commands()[words[2]]
        parser = load_command_class(app, name).create_parser("manage.py", name)
        parser.parse_args(words[3:])
    elif words[0] == "postal-server":
        if words[1] == "--config":
            words = [words[0], *words[3:]]
        name = cli.ALIASES.get(words[1], words[1]).replace("-", "_")
        parser = load_command_class("postal_server", name).create_parser("postal-server", name)
        parser.parse_args(words[2:])
    elif words[:4] == ["python", "-m", "benchmarks", "compare"]:
        compare.argument_parser().parse_args(words[4:])
    elif words[:3] != ["python", "-m", "zipfile"]:
        assert words[0] in OTHER_PROGRAMS


# --- links and paths ---

LINK = re.compile(r"\]\(([^)\s]+)\)")


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in LINK.findall(page.read_text("utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                yield page, target


def test_links_resolve() -> None:
    broken = []
    for page, target in links():
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(f"{page.name}: {target}")
    assert not broken


@functools.cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as MyST and the usual web hosts make them."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme_or_the_index() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall(TEXT["README.md"])}
    for page in DOCS.glob("*.md"):
        assert page.name == "index.md" or f"docs/{page.name}" in linked


def test_every_other_file_for_readers_is_linked_from_a_page() -> None:
    linked = {(page.parent / target.partition("#")[0]).resolve() for page, target in links()}
    assert set((DOCS / "ansible").iterdir()) <= linked


def house() -> Iterator[str]:
    """The paths in the tables of CONTRIBUTING.md, by the package in the heading above."""
    package = ""
    for line in TEXT["CONTRIBUTING.md"].splitlines():
        if line.startswith("#"):
            found = re.search(r"`(\w+)`", line)
            package = found[1] if found else ""
        elif package and line.startswith("| `"):
            for path in re.findall(r"`([\w./]+)`", line.split("|")[1]):
                yield f"{package}/{path}"


def test_rooms_of_the_house_exist() -> None:
    def exists(path: str) -> bool:
        return (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()

    assert not [path for path in house() if not exists(path)]


@pytest.mark.parametrize("package", OURS)
def test_the_house_has_no_room_that_is_not_described(package: str) -> None:
    for path in (ROOT / package).iterdir():
        if path.name.startswith(("__", ".")) or path.name == "py.typed":
            continue
        assert re.search(rf"`{re.escape(path.name)}\b", TEXT["CONTRIBUTING.md"]), path


# --- tables ---


def table(page: str, first: str) -> list[list[str]]:
    """As `rows`, of a page in the documentation."""
    return rows(DOCS / page, first)


def table_column(page: str, first: str) -> list[str]:
    """The first column of such tables."""
    return [row[0] for row in table(page, first)]
