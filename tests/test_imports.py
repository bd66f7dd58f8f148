"""Imports point one way: pure, storage, services, engine, edges. This file holds the table."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STDLIB_WITH_IO = {"asyncio", "socket", "ssl", "smtplib", "subprocess", "sqlite3", "threading", "requests"}

# room -> rooms of the same package that it may import (itself always)
SERVER = {
    "errors": set(),
    "conf": {"errors", "conf_v1"},
    "conf_v1": set(),
    "files": {"conf"},
    "mail": {"errors"},
    "rules": {"mail"},
    "wire": {"mail", "rules", "errors"},
    "models": {"mail", "rules"},
    "services": {"mail", "rules", "wire", "models", "errors", "conf"},
    "engine": {"services", "models", "rules", "mail", "errors", "conf"},
    "net": set(),
    "transports": {"mail", "rules.http_code", "net", "engine.ports", "errors"},
    "importing": {"services", "models", "rules", "mail", "errors", "conf"},
    "smtpd": {"net", "engine", "services", "wire", "rules", "mail", "errors", "conf", "models"},
    "api": {"engine", "services", "wire", "rules", "mail", "errors", "conf", "models"},
    "web": {"net", "engine", "services", "wire", "rules", "mail", "errors", "conf", "models"},
    "control": {"engine", "services", "wire", "rules", "mail", "errors", "conf", "models"},
}
PURE = {"mail", "rules", "wire", "errors"}

LIBRARY_PURE = {
    "wire",
    "body",
    "events",
    "charsets",
    "flowed",
    "header_values",
    "headers",
    "inbound",
    "inbound_message",
    "structure",
    "signatures",
    "reply_address",
    "metadata",
    "mime",
    "auto_response",
    "quotations",
    "quotation_words",
    "reply_lines",
}
LIBRARY_EDGES = {"backend", "webhooks", "urls", "checks", "apps", "management", "contrib", "testing"}


def modules(package: str) -> list[tuple[str, Path]]:
    """The dotted name within the package and the path of each module, migrations left out."""
    paths = ((path.relative_to(ROOT / package), path) for path in sorted((ROOT / package).rglob("*.py")))
    return [(".".join(p.with_suffix("").parts), path) for p, path in paths if "migrations" not in p.parts]


def imports(package: str, module: str, path: Path) -> Iterator[str]:
    """Every module that this one imports, absolute, type-checking imports left out."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
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
    if room not in SERVER:  # settings, cli, testing, management: they wire everything together
        return
    allowed = SERVER[room] | {room}
    for name in imports("postal_server", module, path):
        parts = name.split(".")
        if parts[0] != "postal_server":
            continue
        assert parts[1] in allowed or ".".join(parts[1:3]) in allowed, f"{module} imports {name}"


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


@pytest.mark.parametrize(
    ("module", "path"), [(m, p) for m, p in modules("anymail_postal") if m in LIBRARY_PURE]
)
def test_pure_library_module_knows_no_edge(module: str, path: Path) -> None:
    names = list(imports("anymail_postal", module, path))
    ours = {name.split(".")[1] for name in names if name.startswith("anymail_postal.")}
    assert not ours & LIBRARY_EDGES
    assert not {name.split(".")[0] for name in names} & STDLIB_WITH_IO


@pytest.mark.parametrize(("module", "path"), modules("anymail_postal"))
def test_library_core_never_imports_the_store(module: str, path: Path) -> None:
    if not module.startswith("contrib"):
        assert not [n for n in imports("anymail_postal", module, path) if ".contrib.store" in n]


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
