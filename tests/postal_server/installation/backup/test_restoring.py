"""What a restored SQLite installation is like, and that nothing is changed unless all of it is restored."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from postal_server import conf
from postal_server.errors import BackupError, ConfigurationError
from postal_server.installation.backup import making, verifying
from postal_server.installation.backup.contents import IDS_PER_SECOND, LEAST_GAP
from postal_server.management.commands.restore import database_url
from postal_server.testing import free_ports
from tests import commands
from tests.interop.daemons import may_mount

from .conftest import NOW, environment, nothing, postal_server, query, tree

FILES = {"postal.yml", "signing.key", "secret.key", "smtp.cert", "smtp.key", "postal.sqlite3"}


def without_database(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if "sqlite3" not in name}


def test_elsewhere_all_files_are_as_they_were_and_for_their_owner_only(
    back_up, installation, restore, tmp_path
):
    there = tmp_path / "there" / "postal"
    done = restore(back_up(), there)
    assert set(tree(there)) == FILES
    assert without_database(tree(there)) == without_database(tree(installation))
    assert {path.stat().st_mode & 0o777 for path in there.iterdir()} == {0o600}
    assert there.stat().st_mode & 0o777 == 0o700
    assert done.notes == []
    assert done.kept == []
    assert (
        verifying.check_smtp_keys(_keys(there), {"secret.key": (there / "secret.key").read_bytes()}) is None
    )


def _keys(folder: Path) -> list[str]:
    rows = query(folder / "postal.sqlite3", "SELECT key_encrypted FROM postal_server_credential")
    keys = [key for (key,) in rows if key]
    assert keys
    return keys


def test_the_configuration_may_have_another_name(back_up, restore, tmp_path):
    done = restore(back_up(), tmp_path / "there" / "other.yml")
    assert done.config.path == tmp_path / "there" / "other.yml"
    assert set(tree(tmp_path / "there")) == FILES - {"postal.yml"} | {"other.yml"}


@pytest.mark.parametrize(
    ("later", "gap"),
    [
        pytest.param(timedelta(0), LEAST_GAP, id="at once"),
        pytest.param(timedelta(days=-3), LEAST_GAP, id="where the clock is wrong"),
        pytest.param(timedelta(days=1), 86_400 * IDS_PER_SECOND, id="after a day"),
    ],
)
def test_ids_that_may_have_been_given_since_are_not_given_again(
    back_up, installation, restore, tmp_path, later, gap
):
    database = installation / "postal.sqlite3"
    query(database, "INSERT OR REPLACE INTO postal_server_counter (name, value) VALUES ('message_id', 41)")
    query(database, "INSERT INTO sqlite_sequence (name, seq) VALUES ('postal_server_link', 5)")
    done = restore(back_up(), tmp_path / "there", now=NOW + later)
    restored = tmp_path / "there" / "postal.sqlite3"
    assert done.last_message_id == 41 + gap
    assert query(restored, "SELECT value FROM postal_server_counter WHERE name = 'message_id'") == [
        (41 + gap,)
    ]
    assert query(restored, "SELECT seq FROM sqlite_sequence WHERE name = 'postal_server_link'") == [
        (5 + gap,)
    ]


def test_ids_of_an_installation_that_had_given_none_are_left_out_as_well(
    back_up, installation, restore, tmp_path
):
    query(installation / "postal.sqlite3", "DELETE FROM postal_server_counter WHERE name = 'message_id'")
    restore(back_up(), tmp_path / "there")
    restored = tmp_path / "there" / "postal.sqlite3"
    assert query(restored, "SELECT seq FROM sqlite_sequence WHERE name = 'postal_server_link'") == [
        (LEAST_GAP,)
    ]
    assert query(restored, "SELECT value FROM postal_server_counter WHERE name = 'message_id'") == [
        (LEAST_GAP,)
    ]


# --- what is there already ---


def test_an_installation_is_only_replaced_if_asked_and_kept_then(back_up, installation, restore):
    archive, before = back_up(), tree(installation)
    with pytest.raises(BackupError, match=r"postal\.sqlite3: is there already\. With --replace"):
        restore(archive, installation)
    assert tree(installation) == before
    (installation / "secret.key").write_text("another")
    with pytest.raises(BackupError, match=r"secret\.key: is there already"):
        restore(archive, installation)
    done = restore(archive, installation, replace=True)
    suffix = ".before-restore-20261201T031500"
    assert done.kept == [str(installation / f"{name}{suffix}") for name in ("secret.key", "postal.sqlite3")]
    after = tree(installation)
    assert without_database(before).items() <= after.items()
    assert after[f"postal.sqlite3{suffix}"] == before["postal.sqlite3"]
    assert after[f"secret.key{suffix}"] == b"another"


def test_a_damaged_database_and_its_log_are_kept_and_not_taken_for_the_new_one_s(
    back_up, installation, restore
):
    archive = back_up()
    (installation / "postal.sqlite3").write_bytes(b"damaged" * 1000)
    (installation / "postal.sqlite3-wal").write_bytes(b"a log")
    restore(archive, installation, replace=True)
    after = tree(installation)
    assert "postal.sqlite3-wal" not in after
    assert after["postal.sqlite3.before-restore-20261201T031500-wal"] == b"a log"
    assert after["postal.sqlite3.before-restore-20261201T031500"] == b"damaged" * 1000
    assert _keys(installation)


def test_what_only_the_log_of_the_old_database_has_is_kept(back_up, installation, restore):
    """After a crash."""
    archive = back_up()
    crash = (
        "import os, sqlite3\n"
        "c = sqlite3.connect('postal.sqlite3', isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode=WAL')\n"
        "c.execute(\"INSERT INTO postal_server_counter VALUES ('only in the log', 7)\")\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", crash], cwd=installation)
    assert (installation / "postal.sqlite3-wal").stat().st_size
    restore(archive, installation, replace=True)
    kept = installation / "postal.sqlite3.before-restore-20261201T031500"
    assert query(kept, "SELECT value FROM postal_server_counter WHERE name = 'only in the log'") == [(7,)]


@pytest.mark.parametrize("role", ["web", "smtp", "worker", "run"])
def test_a_restore_onto_a_running_installation_is_refused(back_up, installation, restore, tmp_path, role):
    archive, ready = back_up(), tmp_path / "ready"
    web, smtp, catch = map(str, free_ports(3))
    environ = environment(
        WEB_SERVER_DEFAULT_PORT=web,
        SMTP_SERVER_DEFAULT_PORT=smtp,
        DELIVERY_CATCH_PORT=catch,
        WORKER_DEFAULT_HEALTH_SERVER_PORT="0",
        SMTP_SERVER_DEFAULT_HEALTH_SERVER_PORT="0",
    )
    with commands.Command(role, "--ready-file", str(ready), folder=installation, environ=environ) as process:
        end = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.05)
        with pytest.raises(BackupError, match="postal-server is running with it"):
            restore(archive, installation, replace=True)
        assert not any("before-restore" in path.name for path in installation.iterdir())
        process.terminate()
        assert process.wait() == 0
    restore(archive, installation, replace=True)


# --- a failure in the middle ---


def test_the_end_of_the_pipe_a_kill_and_control_c_change_nothing(back_up, installation, restore):
    """While half of the database has come; what `gpg` does when it fails is to end."""
    # More than is read at a time: 128 KiB, from Python 3.12 on.
    query(installation / "postal.sqlite3", "CREATE TABLE large AS SELECT randomblob(3000000) AS x")
    archive = back_up()
    content = archive.read_bytes()
    half = content[: len(content) // 2]
    before = tree(installation)
    for end in (None, signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            [sys.executable, "-m", "postal_server", "restore", "-", "--replace"],
            cwd=installation,
            env=environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdin.write(half)
        process.stdin.flush()
        if end:
            limit = time.monotonic() + 60
            while not list(installation.glob(".postal-server-*/postal.sqlite3")):
                assert time.monotonic() < limit
                time.sleep(0.02)
            process.send_signal(end)
        _, said = process.communicate(timeout=60)
        assert process.returncode == {None: 1, signal.SIGINT: 130, signal.SIGKILL: -9}[end]
        assert b"Traceback" not in said
        left = [name for name in tree(installation) if name.startswith(".postal-server-")]
        assert bool(left) == (end is signal.SIGKILL), "only a kill can leave some"
        after = tree(installation)
        assert {name: after[name] for name in after if name not in left} == before
    restore(archive, installation, replace=True)
    assert not list(installation.glob(".postal-server-*")), "and the next one removes it"


def test_a_full_disk_changes_nothing(back_up, installation):
    query(installation / "postal.sqlite3", "CREATE TABLE large AS SELECT randomblob(3000000) AS x")
    archive, before = back_up(), tree(installation)
    done = postal_server("restore", str(archive), "--replace", folder=installation, max_file_bytes=2_000_000)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert tree(installation) == before


def test_a_disk_that_is_too_small_is_named_before_anything_is_unpacked(
    back_up, installation, restore, tmp_path
):
    may_mount()
    archive, small = back_up(), tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", str(small)], check=True)
    try:
        with pytest.raises(BackupError, match=rf"^{small}: 0\.\d MB are needed, and 0\.1 MB are free\.$"):
            restore(archive, small)
        config = conf.load(installation / "postal.yml", {})
        with pytest.raises(BackupError, match=rf"^{small}: .* Give a FILE on another disk"):
            making.make(config, str(small / "x"), NOW, environ={}, with_certificate=True, report=nothing)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_new_folder_is_gone_after_a_failure(back_up, restore, tmp_path):
    archive = back_up()
    archive.write_bytes(archive.read_bytes()[:-5])
    with pytest.raises(BackupError, match="not complete"):
        restore(archive, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_nothing_starts_from_half_a_restore_and_the_next_one_first_undoes_it(back_up, installation, restore):
    archive = back_up()
    shutil.copy(installation / "secret.key", installation / "secret.key.kept")
    (installation / "secret.key").write_text("of a restore that was killed")
    (installation / "restore.unfinished").write_text(
        f'[["{installation}/secret.key", "{installation}/secret.key.kept"]]'
    )
    done = postal_server("run", folder=installation)
    assert done.returncode == 1
    assert "a restore was killed. Run `postal-server restore` again" in done.stderr
    restored = restore(archive, installation, replace=True)
    assert restored.notes == ["What an unfinished restore had replaced was brought back first."]
    assert postal_server("upgrade", folder=installation).returncode == 0


# --- other places, other versions ---


def test_paths_outside_of_the_folder_come_into_it_elsewhere(back_up, installation, restore, tmp_path):
    """And the configuration says so, but for those that are there."""
    outside = tmp_path / "letsencrypt"
    outside.mkdir()
    for name in ("smtp.cert", "smtp.key", "signing.key"):
        shutil.move(installation / name, outside / name)
    _configure(
        installation,
        smtp_server={
            "tls_certificate_path": str(outside / "smtp.cert"),
            "tls_private_key_path": str(outside / "smtp.key"),
        },
        postal={"signing_key_path": str(outside / "signing.key")},
    )
    archive = back_up()
    here = restore(archive, tmp_path / "same machine")
    assert here.notes == []
    assert set(tree(tmp_path / "same machine")) == {"postal.yml", "secret.key", "postal.sqlite3"}

    shutil.rmtree(outside)
    there = tmp_path / "another"
    restored = restore(archive, there)
    assert set(tree(there)) == FILES
    assert len(restored.notes) == 3
    config = conf.load(there / "postal.yml", {})
    assert config.file(config.postal.signing_key_path) == there / "signing.key"
    assert config.file(config.smtp_server.tls_private_key_path) == there / "smtp.key"
    assert not outside.exists()


def test_a_file_of_2019_is_not_changed_and_what_to_set_instead_is_named(
    back_up, installation, restore, tmp_path
):
    key = tmp_path / "elsewhere.key"
    shutil.copy(installation / "signing.key", key)
    (installation / "postal.yml").write_text(f"postal:\n  signing_key_path: {key}\n")
    archive = back_up()
    key.unlink()
    there = tmp_path / "there"
    with pytest.raises(
        BackupError,
        match=r"postal\.yml: has the layout of 2019 .* "
        r"this command and of the server: POSTAL_SIGNING_KEY_PATH='\$config-file-root/signing.key'$",
    ):
        restore(archive, there)
    assert not there.exists()
    restored = restore(archive, there, POSTAL_SIGNING_KEY_PATH="$config-file-root/signing.key")
    assert restored.config.file(restored.config.postal.signing_key_path) == there / "signing.key"
    assert (there / "signing.key").is_file()
    assert (there / "postal.yml").read_text() == (installation / "postal.yml").read_text()


def _configure(folder: Path, **groups: dict[str, str]) -> None:
    path = folder / "postal.yml"
    document = yaml.safe_load(path.read_text())
    for group, values in groups.items():
        document[group].update(values)
    path.write_text(yaml.safe_dump(document))


def test_absolute_paths_within_the_folder_are_those_of_the_new_folder(
    back_up, installation, restore, tmp_path
):
    _configure(
        installation,
        storage={"url": f"sqlite:///{installation}/postal.sqlite3"},
        postal={"signing_key_path": str(installation / "signing.key")},
    )
    before = tree(installation)
    there = tmp_path / "there"
    restore(back_up(), there)
    assert set(tree(there)) == FILES
    config = conf.load(there / "postal.yml", {})
    assert config.sqlite_file == there / "postal.sqlite3"
    assert config.file(config.postal.signing_key_path) == there / "signing.key"
    assert tree(installation) == before


def test_relative_paths_are_those_of_the_new_folder(back_up, installation, restore, tmp_path, monkeypatch):
    """They depend on the folder that a process is started in, here that of the old installation."""
    _configure(
        installation,
        storage={"url": "sqlite:///postal.sqlite3"},
        postal={"signing_key_path": "signing.key"},
        smtp_server={"tls_certificate_path": "smtp.cert", "tls_private_key_path": "smtp.key"},
    )
    monkeypatch.chdir(installation)
    there = tmp_path / "there"
    restore(back_up(), there)
    assert set(tree(there)) == FILES
    config = conf.load(there / "postal.yml", {})
    assert config.sqlite_file == there / "postal.sqlite3"
    assert config.file(config.postal.signing_key_path) == there / "signing.key"
    assert config.file(config.smtp_server.tls_private_key_path) == there / "smtp.key"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///rel.sqlite3", "'sqlite:///rel.sqlite3' needs a path that begins with /"),
        ("mysql://h/x", "'mysql://h/x' is neither postgresql://"),
        ("postgresql://u:secret@h/x", "a password here could be seen"),
    ],
)
def test_a_database_that_cannot_be_one_is_wrong_use(url, said):
    with pytest.raises(ArgumentTypeError, match=said):
        database_url(url)


def test_a_certificate_that_is_neither_there_nor_in_it_is_named(back_up, installation, restore, tmp_path):
    archive = back_up(with_certificate=False)
    restored = restore(archive, tmp_path / "there")
    assert [note.partition(":")[0] for note in restored.notes] == [
        "smtp_server.tls_certificate_path",
        "smtp_server.tls_private_key_path",
    ]


def test_a_database_outside_of_the_folder_is_only_written_if_asked(back_up, installation, restore, tmp_path):
    database = tmp_path / "data" / "mail.sqlite3"
    database.parent.mkdir()
    shutil.move(installation / "postal.sqlite3", database)
    _configure(installation, storage={"url": f"sqlite:///{database}"})
    archive = back_up()
    database.unlink()
    with pytest.raises(BackupError, match=rf"--database sqlite:///{database}"):
        restore(archive, tmp_path / "there")
    assert not database.exists()
    restore(archive, tmp_path / "there", url=f"sqlite:///{database}")
    assert _keys_of(database)
    assert conf.load(tmp_path / "there" / "postal.yml", {}).sqlite_file == database


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_link_that_leads_out_of_the_folder_is_named_and_nothing_is_written(
    back_up, restore, tmp_path, name
):
    archive = back_up()
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    there.mkdir()
    elsewhere.write_text("of somebody else")
    (there / name).symlink_to(elsewhere)
    with pytest.raises(BackupError, match=rf"{there / name}: is a link.* to {elsewhere}, .*Remove the link"):
        restore(archive, there, replace=True)
    assert elsewhere.read_text() == "of somebody else"
    assert os.listdir(there) == [name]
    assert set(os.listdir(tmp_path)) >= {"there", "elsewhere"}


def test_a_folder_of_links_is_followed_as_far_as_it_stays_within(back_up, restore, tmp_path):
    """A name for the folder itself, and links between files in it, as certbot's hook makes."""
    archive = back_up()
    (tmp_path / "disk").mkdir()
    (tmp_path / "there").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "smtp.cert").symlink_to("smtp.pem")
    restore(archive, tmp_path / "there")
    assert set(tree(tmp_path / "disk")) == FILES | {"smtp.pem"}
    assert (tmp_path / "disk" / "smtp.cert").is_symlink()


def test_a_database_that_a_link_leads_to_is_written_once_it_is_named(back_up, restore, tmp_path):
    archive = back_up()
    there, database = tmp_path / "there", tmp_path / "mail.sqlite3"
    there.mkdir()
    (there / "postal.sqlite3").symlink_to(database)
    for url in (None, f"sqlite:///{there}/postal.sqlite3"):
        with pytest.raises(BackupError, match=rf"or name what .* by --database sqlite:///{database}\.$"):
            restore(archive, there, url=url)
    assert not database.exists()
    restore(archive, there, url=f"sqlite:///{database}")
    assert _keys_of(database)


def _keys_of(database: Path) -> bool:
    return bool(query(database, "SELECT 1 FROM postal_server_credential"))


def test_variables_that_are_missing_are_named_and_others_are_heard(back_up, restore, tmp_path):
    archive = back_up(WEB_SERVER_DEFAULT_PORT="5001")
    restored = restore(archive, tmp_path / "one")
    [note] = restored.notes
    assert "WEB_SERVER_DEFAULT_PORT" in note
    assert restore(archive, tmp_path / "two", WEB_SERVER_DEFAULT_PORT="5002").notes == []
    with pytest.raises(BackupError, match="another than the secret of the back-up"):
        restore(archive, tmp_path / "three", RAILS_SECRET_KEY="another")


def test_a_sqlite_back_up_is_not_restored_to_postgresql(back_up, restore, tmp_path):
    with pytest.raises(
        BackupError, match=r"its database is sqlite, and storage\.url names one of postgresql"
    ):
        restore(back_up(), tmp_path / "there", url="postgresql://postal@localhost/postal")
    with pytest.raises(BackupError, match="cannot be converted"):
        restore(back_up("two"), tmp_path / "there", STORAGE_URL="postgresql://postal@localhost/postal")
    assert not (tmp_path / "there").exists()


def test_one_of_an_older_version_is_restored_and_has_to_be_upgraded(back_up, installation, restore, tmp_path):
    query(installation / "postal.sqlite3", "DELETE FROM django_migrations WHERE app = 'postal_server'")
    restored = restore(back_up(), tmp_path / "there")
    assert "Run `postal-server upgrade`" in restored.notes[0]


def test_one_of_a_newer_version_is_refused(back_up, installation, restore, tmp_path):
    query(
        installation / "postal.sqlite3",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('postal_server', '9999_new', ?)",
        str(NOW),
    )
    with pytest.raises(BackupError, match=r"this version does not know .*9999_new"):
        restore(back_up(), tmp_path / "there")
    assert not (tmp_path / "there").exists()


# --- verification ---


def test_a_database_that_its_key_does_not_fit_is_noticed(back_up, installation, restore, tmp_path):
    (installation / "secret.key").write_text("another secret")
    archive = back_up()
    with pytest.raises(BackupError, match=r"secret\.key in it does not decrypt the SMTP keys"):
        verifying.verify(io.BytesIO(archive.read_bytes()), nothing)
    with pytest.raises(BackupError, match=r"secret\.key in it does not decrypt"):
        restore(archive, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_damaged_database_is_noticed(back_up, installation):
    database = installation / "postal.sqlite3"
    query(database, "CREATE TABLE large AS SELECT randomblob(300000) AS x")
    query(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(database.read_bytes())
    content[-200_000:-199_996] = b"\xff\xff\xff\xff"  # where the next page of a chain is
    for place in range(len(content) // 2, len(content), 4096):
        content[place : place + 4] = b"\xff\xff\xff\xff"
    database.write_bytes(content)
    with pytest.raises(BackupError):
        verifying.verify(io.BytesIO(back_up().read_bytes()), nothing)


def test_a_key_that_is_not_the_certificate_s_is_noticed(back_up, installation):
    shutil.copy(installation / "signing.key", installation / "smtp.key")
    with pytest.raises(BackupError, match=r"smtp\.key in it is not the key of smtp\.cert"):
        verifying.verify(io.BytesIO(back_up().read_bytes()), nothing)


def test_an_unusable_configuration_here_is_in_nobody_s_way(back_up, tmp_path):
    archive = back_up()
    (tmp_path / "postal.yml").write_text("storage: [")
    done = postal_server("backup", "--verify", str(archive), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "whole; its database and keys are in order" in done.stdout
    done = postal_server("restore", str(archive), "--to", "there", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_damaged_configuration_in_it_is_an_error(installation, restore, tmp_path):
    good = conf.load(installation / "postal.yml", {})
    (installation / "postal.yml").write_text("storage: [")
    making.make(good, str(tmp_path / "bad"), NOW, environ={}, with_certificate=True, report=nothing)
    with pytest.raises(ConfigurationError):
        restore(tmp_path / "bad", tmp_path / "there")
    assert not (tmp_path / "there").exists()
