"""The folder for drafts is gone afterwards, and so are those of processes that were killed."""

from __future__ import annotations

import os

import pytest

from postal_server.installation.backup.scratch import PREFIX, scratch


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_is_for_its_owner_and_gone_afterwards(tmp_path):
    with scratch(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "draft").touch()
    assert names(tmp_path) == []
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_what_was_left_is_removed_and_what_is_in_use_stays(tmp_path):
    left = tmp_path / f"{PREFIX}abc_0123"
    (left / "below").mkdir(parents=True)
    (left / "below" / "draft").touch()
    with scratch(tmp_path) as first:
        assert names(tmp_path) == [first.name]
        (first / "draft").touch()
        with scratch(tmp_path) as second:
            assert names(tmp_path) == sorted([first.name, second.name])
        assert (first / "draft").exists()


def test_one_that_a_killed_process_had_is_free(tmp_path):
    child = os.fork()
    if not child:
        with scratch(tmp_path):
            os._exit(9)
    os.waitpid(child, 0)
    assert len(names(tmp_path)) == 1
    with scratch(tmp_path) as folder:
        assert names(tmp_path) == [folder.name]


def test_what_only_has_such_a_name_stays(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"{PREFIX}file0000").touch()
    (tmp_path / f"{PREFIX}link0000").symlink_to(elsewhere)
    for name in (".postal-server-keys", f"{PREFIX}work"):  # a person's own
        (tmp_path / name).mkdir()
    before = names(tmp_path)
    with scratch(tmp_path):
        pass
    assert names(tmp_path) == before


def test_that_of_another_user_stays(tmp_path):
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    theirs = tmp_path / f"{PREFIX}abc_0123"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    with scratch(tmp_path):
        pass
    assert names(tmp_path) == [theirs.name]
