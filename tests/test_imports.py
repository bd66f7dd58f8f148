"""Imports point one way: pure, storage, services, engine, edges. This file holds the table."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Container, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STDLIB_WITH_IO = {"asyncio", "socket", "ssl", "smtplib", "subprocess", "sqlite3", "threading", "requests"}

# Folder or module -> those of the same package that it may import (itself always), or parts of them.
STORAGE = {"models", "rules", "mail", "errors", "conf"}
SERVER = {
    "errors": set(),
    "conf": {"errors", "conf_v1"},
    "conf_v1": set(),
    "files": {"conf"},
    "mail": {"errors"},
    "rules": {"mail"},
    "wire": {"mail", "rules", "errors"},
    "models": {"mail", "rules"},
    "services": STORAGE | {"wire"},  # among its stages: STAGES
    "engine": STORAGE | {"services.shared", "services.results"},
    "net": set(),
    "transports": {"mail", "rules.http_code", "net", "engine.ports", "errors"},
    "importing": STORAGE | {"services.shared", "engine.ports", "transports.smtp"},
    "smtpd": {"mail", "rules", "errors", "conf", "net", "services"},
    "api": {"mail", "wire", "errors", "conf", "engine", "services"},
    "web": {"rules", "wire", "errors", "conf", "net", "engine", "services"},
    "control": {"mail", "rules", "models", "conf", "engine", "services.operations"},
    "runtime": {"errors", "conf", "net", "engine", "services", "transports", "smtpd", "api", "web"},
    "admin": STORAGE
    | {"wire", "services", "engine.database", "engine.directory", "engine.sync_dns", "runtime.resolver"},
    "management": STORAGE
    | {"files", "services", "importing", "runtime", "engine.database", "transports.http", "web.application"},
    "settings": {"conf", "engine.database", "web.application"},
    "urls": {"conf", "web.start"},
    "apps": {"engine.directory"},
    "logs": set(),
    "formats": set(),
    "testing": {"files", "mail"},
    "pytest_plugin": {"testing"},
    "cli": {"files", "conf", "errors"},
    "__main__": {"cli"},
    "__init__": set(),
}
STAGES = ("shared", "acceptance", "results", "preparation", "operations")  # each after those before it
PURE = {"mail", "rules", "wire", "errors"}

# The library's modules by layer. A module may import its own layer and those before it.
LIBRARY = {
    "errors": {"errors"},
    "pure": {
        "addresses",
        "auto_response",
        "body",
        "charsets",
        "events",
        "flowed",
        "header_values",
        "headers",
        "inbound",
        "inbound_message",
        "metadata",
        "mime",
        "quotation_words",
        "quotations",
        "reply_address",
        "reply_lines",
        "signatures",
        "structure",
        "wire",
    },
    "settings": {"conf", "ports", "setting_values", "signals"},
    "parts": {
        "api",
        "auto_payload",
        "client",
        "contents",
        "dedupe",
        "dispatch",
        "keys",
        "message_payload",
        "payload",
        "replies",
        "reply_text",
        "templates",
    },
    "edges": {"backend", "webhooks"},
    "around": {"apps", "checks", "contrib", "management", "pytest_plugin", "tasks", "testing", "urls"},
}
LIBRARY_LAYERS = {module: number for number, layer in enumerate(LIBRARY.values()) for module in layer}


def modules(package: str) -> list[tuple[str, Path]]:
    """The dotted name within the package and the path of each module, migrations left out."""
    paths = ((path.relative_to(ROOT / package), path) for path in sorted((ROOT / package).rglob("*.py")))
    return [(".".join(p.with_suffix("").parts), path) for p, path in paths if "migrations" not in p.parts]


@functools.cache
def imports(package: str, module: str, path: Path, *, for_types: bool = False) -> tuple[str, ...]:
    """Every name that this module imports, also within functions; with `for_types`, for type checking too."""
    return tuple(_imports(package, module, path, for_types))


def _imports(package: str, module: str, path: Path, for_types: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if not for_types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    here = [package, *module.split(".")]
    if here[-1] == "__init__":
        here = [*here[:-1], "__init__"]
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            name = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield from (f"{name}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("module", "path"), modules("postal_server"))
def test_server_module_imports_only_what_its_room_may(module: str, path: Path) -> None:
    room = module.split(".", maxsplit=1)[0]
    allowed = SERVER[room] | {room}
    for name in imports("postal_server", module, path):
        top, *parts = name.split(".")
        if top == "postal_server":
            assert {parts[0], ".".join(parts[:2])} & allowed, f"{module} imports {name}"


@pytest.mark.parametrize(
    ("module", "path"), [(m, p) for m, p in modules("postal_server") if m.startswith("services.")]
)
def test_a_stage_of_the_services_imports_only_those_before_it(module: str, path: Path) -> None:
    stage = module.split(".")[1]
    allowed = {"__init__"} if stage == "__init__" else STAGES[: STAGES.index(stage) + 1]
    for name in imports("postal_server", module, path):
        if name.startswith("postal_server.services."):
            assert name.split(".")[2] in allowed, f"{module} imports {name}"


@pytest.mark.parametrize(
    ("module", "path"), [(m, p) for m, p in modules("postal_server") if m.split(".")[0] in PURE]
)
def test_pure_server_module_knows_neither_django_nor_the_outside(module: str, path: Path) -> None:
    tops = {name.split(".")[0] for name in imports("postal_server", module, path)}
    assert not tops & (STDLIB_WITH_IO | {"django", "time"})
    assert tops <= set(sys.stdlib_module_names) | {
        "ada_url",
        "cryptography",
        "idna",
        "nh3",
        "postal_server",
        "publicsuffixlist",
        "webencodings",
    }


@pytest.mark.parametrize(("module", "path"), modules("anymail_postal"))
def test_library_module_imports_only_its_layer_and_those_below(module: str, path: Path) -> None:
    if module == "__init__":
        return
    layer = LIBRARY_LAYERS[module.split(".", maxsplit=1)[0]]
    for name in imports("anymail_postal", module, path):
        room = name.split(".")[1] if name.startswith("anymail_postal.") else "errors"
        assert LIBRARY_LAYERS.get(room, 0) <= layer, f"{module} imports {name}"


@pytest.mark.parametrize(
    ("module", "path"), [(m, p) for m, p in modules("anymail_postal") if m in LIBRARY["pure"]]
)
def test_pure_library_module_does_no_io(module: str, path: Path) -> None:
    tops = {name.split(".")[0] for name in imports("anymail_postal", module, path)}
    assert not tops & (STDLIB_WITH_IO | {"time"})


@pytest.mark.parametrize(("module", "path"), [(m, p) for m, p in modules("anymail_postal") if m != "conf"])
def test_only_conf_reads_the_settings_of_the_library(module: str, path: Path) -> None:
    code = path.read_text("utf-8")
    assert not re.search(r"get_anymail_setting|settings\.(ANYMAIL|POSTAL)|[\"']ANYMAIL[\"']", code)


@pytest.mark.parametrize(("module", "path"), modules("anymail_postal"))
def test_library_core_never_imports_the_store(module: str, path: Path) -> None:
    if not module.startswith("contrib"):
        assert not [n for n in imports("anymail_postal", module, path) if ".contrib.store" in n]


def import_graph(package: str) -> dict[str, set[str]]:
    """The modules of a package, and for each those of the same package that it imports, for types as well."""
    names = {
        f"{package}.{module}".removesuffix(".__init__"): (module, path) for module, path in modules(package)
    }
    graph: dict[str, set[str]] = {}
    for name, (module, path) in names.items():
        imported = (_module_of(each, names) for each in imports(package, module, path, for_types=True))
        graph[name] = {each for each in imported if each is not None}
    return graph


def _module_of(name: str, known: Container[str]) -> str | None:
    """The module that an imported name is, or is a part of."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


@pytest.mark.parametrize("package", ["anymail_postal", "postal_server"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    TopologicalSorter(import_graph(package)).prepare()  # raises CycleError, which names them


@pytest.mark.parametrize("package", ["anymail_postal", "postal_server"])
def test_no_folders_import_each_other_in_a_circle(package: str) -> None:
    """A folder within a folder stands for itself, and so does a module beside the folders."""
    packages = {path.parent for _, path in modules(package) if path.name == "__init__.py"}
    folders = {".".join(path.relative_to(ROOT).parts) for path in packages}

    def folder(module: str) -> str:
        parent = module.rpartition(".")[0]
        return module if module in folders or parent == package else parent

    graph: dict[str, set[str]] = {}
    for module, imported in import_graph(package).items():
        graph.setdefault(folder(module), set()).update(map(folder, imported))
    TopologicalSorter({each: targets - {each} for each, targets in graph.items()}).prepare()


@pytest.mark.parametrize(
    ("package", "other"), [("anymail_postal", "postal_server"), ("postal_server", "anymail_postal")]
)
def test_packages_do_not_import_each_other(package: str, other: str) -> None:
    for module, path in modules(package):
        for name in imports(package, module, path):
            assert name.split(".")[0] != other, f"{package}.{module} imports {name}"


def test_example_project_uses_public_names_of_the_library_only() -> None:
    for module, path in modules("example_project"):
        for name in imports("example_project", module, path):
            assert not name.startswith("postal_server"), f"{module} imports {name}"
            assert "._" not in name
