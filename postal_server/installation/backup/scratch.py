"""A folder for what is not whole yet, beside where it goes.

A process that is killed leaves its folder there. It had it locked, so that the next one can tell which are in
use, and removes the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".postal-server-unfinished-"
MADE = re.compile(
    rf"{re.escape(PREFIX)}[a-z0-9_]{{8}}"
)  # by `tempfile`: what a person has made is never removed


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, for this user only, and gone after the block."""
    for left in parent.glob(f"{PREFIX}*"):
        if MADE.fullmatch(left.name):
            _remove_if_left(left)
    with contextlib.ExitStack() as stack:
        folder = None
        while folder is None:  # another process may have taken it for one that was left, before it was locked
            made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            folder = made if stack.enter_context(_locked(made)) else None
        stack.callback(shutil.rmtree, folder)
        yield folder


def _remove_if_left(folder: Path) -> None:
    with _locked(folder) as is_locked:
        if is_locked:
            shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Is the folder there, this user's, and nobody else's to use until the block ends?"""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield os.fstat(descriptor).st_uid == os.geteuid() and _lock(descriptor) and folder.exists()
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
