"""The file of a configuration is replaced whole, and is its owner's."""

from __future__ import annotations

import os
import stat

import pytest

from postal_server.errors import ConfigurationError
from postal_server.installation.configuration_file import ConfigurationFile
from tests.each import each

THEIRS = """\
# Our mail server. Ask Ann before you change this.
version: 2
"""


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text(THEIRS)
    path.chmod(0o640)
    return path


def put(file, text):
    with file.replaced_by(text) as draft:
        file.require_unchanged()
        with file.put_in_place(draft):
            pass


def test_the_file_keeps_its_mode_and_nothing_is_left_beside_it(theirs):
    put(ConfigurationFile(theirs, {}), "version: 2\n")
    assert theirs.read_text() == "version: 2\n"
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o640
    assert os.listdir(theirs.parent) == ["postal.yml"]


def test_a_new_file_is_the_owners_alone(tmp_path):
    path = tmp_path / "new" / "postal.yml"
    put(ConfigurationFile(path, {}), "version: 2\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_link_stays_one(theirs, tmp_path):
    link = tmp_path / "link.yml"
    link.symlink_to(theirs)
    put(ConfigurationFile(link, {}), "version: 2\n")
    assert link.is_symlink()
    assert theirs.read_text() == "version: 2\n"


def test_a_failure_in_the_middle_leaves_the_file_and_no_draft(theirs):
    with pytest.raises(KeyboardInterrupt), ConfigurationFile(theirs, {}).replaced_by("version: 2\n"):
        raise KeyboardInterrupt
    assert theirs.read_text() == THEIRS
    assert os.listdir(theirs.parent) == ["postal.yml"]


@each("is_there", [True, False])
def test_what_fails_once_the_file_is_in_its_place_brings_back_what_was_there(is_there, theirs):
    if not is_there:
        theirs.unlink()
    file = ConfigurationFile(theirs, {})
    with file.replaced_by("version: 2\n") as draft:
        place = file.put_in_place(draft)
        place.__enter__()
        assert theirs.read_text() == "version: 2\n"
        assert not place.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert os.listdir(theirs.parent) == (["postal.yml"] if is_there else [])
    if is_there:
        assert theirs.read_text() == THEIRS
        assert stat.S_IMODE(theirs.stat().st_mode) == 0o640


def test_a_file_that_somebody_else_changed_meanwhile_is_theirs(theirs):
    file = ConfigurationFile(theirs, {})
    theirs.write_text(THEIRS + "\n# and this")
    with pytest.raises(ConfigurationError, match="changed by somebody else"):
        put(file, "version: 2\n")
    assert theirs.read_text() == THEIRS + "\n# and this"
