"""Puts several files in the place of others, all or none, and keeps the others.

Each file is replaced at once, and what is there is kept beside it before the first one is. A process that
is killed between two of them leaves a list, by which the next restore brings back what was there; the server
does not start with a mixture.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from postal_server.errors import BackupError, NotNow
from postal_server.files import sync_folder

UNFINISHED = "restore.unfinished"  # in the folder of the configuration


def require_finished(root: Path) -> None:
    """Raise `NotNow` if a restore was killed while it put files in their places, or is at it."""
    if (root / UNFINISHED).exists():
        raise NotNow(
            f"{root / UNFINISHED}: a restore was killed. Run `postal-server restore` again: "
            "it first brings back what was there."
        )


@contextlib.contextmanager
def swapped(root: Path, files: Mapping[Path, Path | None], suffix: str) -> Iterator[list[Path]]:
    """Rename each draft to its place, None to have no file there; where the files of before are kept.

    Those get `suffix` in their names. If the block fails, all is as it was.
    """
    kept = {place: _kept(place, suffix) for place in files if place.exists()}
    if there := next(filter(os.path.lexists, kept.values()), None):
        raise BackupError(f"{there}: is there already, from another restore in this second. Run this again.")
    steps = [[str(place), str(kept.get(place, ""))] for place in files]
    try:
        _write_list(root, steps)
        for place, copy in kept.items():
            os.link(place, copy)
        _sync(root, files)
        for place, draft in files.items():
            if draft is None:
                place.unlink()
            else:
                draft.rename(place)
        _sync(root, files)
        yield list(kept.values())
    except BaseException:
        undo(root)
        raise
    (root / UNFINISHED).unlink()


def _write_list(root: Path, steps: list[list[str]]) -> None:
    with (root / UNFINISHED).open("w", encoding="utf-8") as file:
        json.dump(steps, file)
        file.flush()
        os.fsync(file.fileno())


def _kept(place: Path, suffix: str) -> Path:
    """SQLite finds the log of a database by its name: `postal.sqlite3` and `postal.sqlite3-wal`."""
    name, dash, end = place.name.partition("-")
    return place.with_name(f"{name}{suffix}{dash}{end}")


def undo(root: Path) -> bool:
    """Bring back what an unfinished restore has replaced. Was there one?"""
    listed = root / UNFINISHED
    if not listed.exists():
        return False
    places = []
    for place, copy in _steps(listed):
        places.append(place)
        if copy is None:
            place.unlink(missing_ok=True)
        elif copy.exists():
            copy.replace(place)
            copy.unlink(missing_ok=True)  # still there if both names were those of one file
    _sync(root, places)
    listed.unlink()
    return True


def _steps(listed: Path) -> Iterator[tuple[Path, Path | None]]:
    try:
        steps = json.loads(listed.read_text("utf-8"))
    except ValueError:  # the end came while it was written: nothing was replaced yet
        return
    for place, copy in steps:
        yield Path(place), Path(copy) if copy else None


def _sync(root: Path, places: Mapping[Path, Path | None] | list[Path]) -> None:
    for folder in {root, *(place.parent for place in places)}:
        sync_folder(folder)
