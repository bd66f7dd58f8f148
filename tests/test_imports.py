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
    "conf": {"errors", "conf_environment", "conf_v1"},
    "conf_environment": {"errors"},
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
    "installation": STORAGE
    | {
        "conf_environment",
        "files",
        "net",
        "services",
        "engine.database",
        "web.application",
        "wire",
    },
    "smtpd": {"mail", "rules", "errors", "conf", "net", "services"},
    "api": {"mail", "wire", "errors", "conf", "engine", "services"},
    "web": {"rules", "wire", "errors", "conf", "net", "engine", "services"},
    "control": {"mail", "rules", "models", "conf", "engine", "services.operations", "services.shared"},
    "runtime": {"errors", "conf", "net", "engine", "services", "transports", "smtpd", "api", "web"},
    "admin": STORAGE
    | {"wire", "services", "engine.database", "engine.directory", "engine.sync_dns", "runtime.resolver"},
    "management": STORAGE
    | {
        "files",
        "services",
        "importing",
        "installation",
        "runtime",
        "engine.database",
        "transports.http",
        "web.application",
    },
    "settings": {"conf", "engine.database", "web.application"},
    "urls": {"conf", "web.start"},
    "apps": {"engine.directory"},
    "logs": set(),
    "formats": set(),
    "testing": {"conf", "conf_environment", "files", "mail"},
    "pytest_plugin": {"testing"},
    "cli": {"files", "conf", "conf_environment", "errors"},
    "__main__": {"cli"},
    "__init__": set(),
}
STAGES = (
    "shared",
    "acceptance",
    "results",
    "preparation",
    "operations",
    "administration",
)  # each after those before
PURE = {"mail", "rules", "wire", "errors"}
# What those may use of others, and the standard library without input and output.
PURE_PACKAGES = {
    "ada_url",
    "cryptography",
    "idna",
    "nh3",
    "postal_server",
    "publicsuffixlist",
    "webencodings",
}

# The library's modules by layer. A module may import its own layer and those before it.
LIBRARY = {
    "errors": {"errors"},
    "pure": {
        "addresses",
        "answer_words",
        "auto_response",
        "body",
        "charsets",
        "classification",
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
        "reported",
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
        "delivery_mode",
        "dispatch",
        "fetching",
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
    here = [package, *module.split(".")]
    return tuple(
        name
        for node, is_for_types in _import_statements(path)
        if for_types or not is_for_types
        for name in _names(node, here)
    )


@functools.cache
def _import_statements(path: Path) -> list[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Each statement, and whether it is for type checking alone."""
    found: list[tuple[ast.Import | ast.ImportFrom, bool]] = []

    def visit(node: ast.AST, is_for_types: bool) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.append((node, is_for_types))
        elif isinstance(node, (ast.stmt, ast.excepthandler, ast.match_case, ast.Module)):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                is_for_types = True
            for child in ast.iter_child_nodes(node):
                visit(child, is_for_types)

    visit(ast.parse(path.read_text("utf-8")), False)
    return found


def _names(node: ast.Import | ast.ImportFrom, here: list[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        base = here[: -node.level] if node.level else []
        name = ".".join([*base, *(node.module or "").split(".")]).strip(".")
        yield from (f"{name}.{alias.name}" for alias in node.names)


def test_a_server_module_imports_only_what_its_room_may() -> None:
    faults = []
    for module, path in modules("postal_server"):
        room = module.split(".", maxsplit=1)[0]
        allowed = SERVER[room] | {room}
        for name in imports("postal_server", module, path):
            top, *parts = name.split(".")
            if top == "postal_server" and not {parts[0], ".".join(parts[:2])} & allowed:
                faults.append(f"{module} imports {name}")
    assert not faults


def test_a_stage_of_the_services_imports_only_those_before_it() -> None:
    faults = []
    for module, path in modules("postal_server"):
        if not module.startswith("services."):
            continue
        stage = module.split(".")[1]
        allowed = {"__init__"} if stage == "__init__" else STAGES[: STAGES.index(stage) + 1]
        faults += [
            f"{module} imports {name}"
            for name in imports("postal_server", module, path)
            if name.startswith("postal_server.services.") and name.split(".")[2] not in allowed
        ]
    assert not faults


def outside_imports(package: str, module: str, path: Path) -> set[str]:
    """The packages that this module imports."""
    return {name.split(".")[0] for name in imports(package, module, path)}


def test_pure_server_modules_know_neither_django_nor_the_outside() -> None:
    forbidden = STDLIB_WITH_IO | {"django", "time"}
    allowed = (set(sys.stdlib_module_names) | PURE_PACKAGES) - forbidden
    faults = {
        module: outside_imports("postal_server", module, path) - allowed
        for module, path in modules("postal_server")
        if module.split(".")[0] in PURE
    }
    assert not {module: names for module, names in faults.items() if names}


def test_a_library_module_imports_only_its_layer_and_those_below() -> None:
    faults = []
    for module, path in modules("anymail_postal"):
        if module == "__init__":
            continue
        layer = LIBRARY_LAYERS[module.split(".", maxsplit=1)[0]]
        for name in imports("anymail_postal", module, path):
            room = name.split(".")[1] if name.startswith("anymail_postal.") else "errors"
            if LIBRARY_LAYERS.get(room, 0) > layer:
                faults.append(f"{module} imports {name}")
    assert not faults


def test_pure_library_modules_do_no_io() -> None:
    faults = {
        module: outside_imports("anymail_postal", module, path) & (STDLIB_WITH_IO | {"time"})
        for module, path in modules("anymail_postal")
        if module in LIBRARY["pure"]
    }
    assert not {module: names for module, names in faults.items() if names}


def test_only_conf_reads_the_settings_of_the_library() -> None:
    reads = re.compile(r"get_anymail_setting|settings\.(ANYMAIL|POSTAL)|[\"']ANYMAIL[\"']")
    readers = [module for module, path in modules("anymail_postal") if reads.search(path.read_text("utf-8"))]
    assert set(readers) <= {"conf"}


def test_the_core_of_the_library_never_imports_the_store() -> None:
    faults = [
        f"{module} imports {name}"
        for module, path in modules("anymail_postal")
        if not module.startswith("contrib")
        for name in imports("anymail_postal", module, path)
        if ".contrib.store" in name
    ]
    assert not faults


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
