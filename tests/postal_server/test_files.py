"""The files of a new installation."""

from __future__ import annotations

import os
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from postal_server import conf, files

from .installation.development import installation as new_installation
from .installation.development import write_configuration


@pytest.fixture
def config(tmp_path):
    write_configuration(tmp_path / "postal.yml")
    return conf.load(tmp_path / "postal.yml", {})


def test_secrets_are_made_once_and_are_the_owners_alone(config):
    made = files.write_secrets(config)
    assert {path.name for path in made} == {"signing.key", "secret.key", "smtp.key", "smtp.cert"}
    for path in made:
        if path.name != "smtp.cert":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = {path: path.read_bytes() for path in made}
    assert files.write_secrets(config) == []
    assert before == {path: path.read_bytes() for path in made}


def test_signing_key_has_2048_bits_and_certificate_names_the_smtp_host(config, tmp_path):
    files.write_secrets(config)
    key = load_pem_private_key((tmp_path / "signing.key").read_bytes(), None)
    assert key.key_size == 2048
    certificate = x509.load_pem_x509_certificate((tmp_path / "smtp.cert").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_certificate_of_the_administrator_is_not_touched(config, tmp_path):
    (tmp_path / "smtp.cert").write_text("theirs")
    files.write_secrets(config)
    assert (tmp_path / "smtp.cert").read_text() == "theirs"
    assert not (tmp_path / "smtp.key").exists()


def test_certificate_of_another_program_is_never_made(tmp_path):
    """Certbot would take a folder of that name for a fault of its own."""
    path = tmp_path / "letsencrypt" / "live" / "mx.example.com"
    keys = {"tls_certificate_path": f"{path}/fullchain.pem", "tls_private_key_path": f"{path}/privkey.pem"}
    root = tmp_path / "postal"
    files.write_secrets(conf.parse({"smtp_server": {"tls_enabled": True, **keys}}, {}, root))
    assert not path.exists()
    assert {each.name for each in root.iterdir()} == {"signing.key", "secret.key"}


def test_a_secret_that_is_in_use_already_is_the_one_that_is_written(config, tmp_path):
    secret = files.new_secret(config)
    files.write_secrets(config, secret)
    assert (tmp_path / "secret.key").read_text() == secret
    assert files.new_secret(config) == ""


# Who may read them

# With what a server that runs keeps beside it: a lock that others can hold stops the server.
DATABASE = ["postal.sqlite3", *(f"postal.sqlite3-{end}" for end in ("wal", "shm", "write", "worker-1"))]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def installation(tmp_path):
    """An installation in a folder of its own, made with the usual umask and open to everybody."""
    folder = tmp_path / "installation"
    config = new_installation(folder)
    for name in DATABASE:
        (folder / name).touch()
    for path in folder.iterdir():
        path.chmod(0o644)
    folder.chmod(0o755)
    return config


def test_file_modes_a_new_folder_and_its_files_are_the_owners_alone(tmp_path):
    folder = tmp_path / "new"
    write_configuration(folder / "postal.yml")
    assert (mode(folder), mode(folder / "postal.yml")) == (0o700, 0o600)


def test_file_modes_the_folder_of_a_database_elsewhere_is_made_for_the_owner_alone(tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text("version: 2\nstorage: {url: 'sqlite:///$config-file-root/mail/postal.sqlite3'}\n")
    files.write_secrets(conf.load(path, {}))
    assert mode(tmp_path / "mail") == 0o700


def test_file_modes_each_file_that_others_can_open_is_named_with_the_cure(installation):
    found = files.open_to_others(installation)
    names = ["postal.yml", "signing.key", "secret.key", "smtp.key"]
    names += DATABASE
    for path in (installation.root, *(installation.root / name for name in names)):
        expected = f"{path}: other users of this machine can open it (mode {mode(path):04o}); "
        assert expected + f"`chmod go-rwx {path}` ends that." in found
    assert len(found) == 1 + len(names)  # a certificate is for everybody


def test_file_modes_others_are_kept_out_of_an_installation_that_exists(installation):
    changed = files.keep_others_out(installation)
    assert mode(installation.root) == 0o700
    assert {path.name for path in changed} >= {"postal.yml", "postal.sqlite3", "postal.sqlite3-wal"}
    assert all(mode(path) == 0o600 for path in installation.root.iterdir() if path.name != "smtp.cert")
    assert files.open_to_others(installation) == []
    assert files.keep_others_out(installation) == []


def test_file_modes_a_folder_with_other_peoples_files_keeps_its_mode(installation):
    (installation.root / "manage.py").touch()
    files.keep_others_out(installation)
    assert mode(installation.root) == 0o755
    assert files.open_to_others(installation) == []


def test_file_modes_a_folder_that_everybody_shares_keeps_its_mode(installation):
    installation.root.chmod(0o1777)
    files.keep_others_out(installation)
    assert mode(installation.root) == 0o1777
    assert files.open_to_others(installation) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to groups")
def test_file_modes_a_group_that_a_file_was_given_to_keeps_its_rights(installation):
    key = installation.root / "smtp.key"
    os.chown(key, 0, 4711)
    key.chmod(0o644)
    files.keep_others_out(installation)
    assert mode(key) == 0o640
    assert files.open_to_others(installation) == []
