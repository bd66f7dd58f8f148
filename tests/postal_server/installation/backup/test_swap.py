"""Several files take the place of others together; what was there is kept, and comes back if that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postal_server.errors import BackupError, ConfigurationError
from postal_server.installation.backup.swap import UNFINISHED, require_finished, swapped, undo

BEFORE = {"postal.sqlite3": "old database", "postal.yml": "old settings", "postal.sqlite3-wal": "old log"}
AFTER = {"postal.sqlite3": "new database", "postal.yml": "new settings", "signing.key": "new key"}
SUFFIX = ".before"
KEPT = {
    "postal.sqlite3.before": "old database",
    "postal.yml.before": "old settings",
    "postal.sqlite3.before-wal": "old log",  # where SQLite looks for it
}


def swap(root: Path, new: dict[Path, Path | None]) -> list[Path]:
    with swapped(root, new, SUFFIX) as kept:
        return kept


@pytest.fixture
def root(tmp_path) -> Path:
    for name, text in BEFORE.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def new(root) -> dict[Path, Path | None]:
    """Where each new file goes; the log goes."""
    files: dict[Path, Path | None] = {root / "postal.sqlite3-wal": None}
    for name, text in AFTER.items():
        files[root / name] = root / f".{name}.draft"
        (root / f".{name}.draft").write_text(text)
    return files


def found(root: Path) -> dict[str, str]:
    """All files but drafts."""
    return {path.name: path.read_text() for path in root.iterdir() if not path.name.endswith(".draft")}


def test_the_new_files_are_there_and_the_old_ones_are_kept(root, new):
    kept = swap(root, new)
    assert found(root) == AFTER | KEPT
    assert {path.name for path in kept} == set(KEPT)
    require_finished(root)


def test_where_a_file_cannot_be_replaced_all_is_as_it_was(root, new):
    (root / ".signing.key.draft").unlink()
    with pytest.raises(FileNotFoundError):
        swap(root, new)
    assert found(root) == BEFORE
    require_finished(root)


def test_what_fails_once_they_are_there_brings_back_what_was_there(root, new):
    with pytest.raises(RuntimeError), swapped(root, new, SUFFIX):
        raise RuntimeError("the database is gone")
    assert found(root) == BEFORE
    require_finished(root)


def test_what_another_restore_has_kept_is_not_taken_for_ours(root, new):
    (root / "postal.yml.before").write_text("older settings")
    with pytest.raises(BackupError, match=r"postal\.yml\.before: is there already"):
        swap(root, new)
    assert found(root) == BEFORE | {"postal.yml.before": "older settings"}


def killed(root: Path, new: dict[Path, Path | None], renames: int) -> None:
    """A process that dies when it has renamed so many files."""
    child = os.fork()
    if child == 0:
        left = iter(range(renames))
        rename = Path.rename

        def die(self: Path, target: Path) -> None:
            if next(left, None) is None:
                os._exit(9)
            rename(self, target)

        Path.rename = die  # type: ignore[method-assign, assignment]
        try:
            swap(root, new)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_after_a_kill_in_the_middle_nothing_starts_until_all_is_as_it_was(root, new, renames):
    killed(root, new, renames)
    with pytest.raises(ConfigurationError, match=r"Run `postal-server restore` again"):
        require_finished(root)
    assert undo(root)
    assert found(root) == BEFORE
    require_finished(root)
    assert not undo(root)


def test_a_list_that_was_not_whole_changes_nothing(root):
    (root / UNFINISHED).write_text('[["/x')
    assert undo(root)
    assert found(root) == BEFORE
