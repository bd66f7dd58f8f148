"""The files of a new installation."""

from __future__ import annotations

import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from postal_server import conf, files


@pytest.fixture
def config(tmp_path):
    files.write_configuration(tmp_path / "postal.yml")
    return conf.load(tmp_path / "postal.yml", {})


def test_configuration_it_writes_has_no_unknown_key_and_keeps_all_mail(config):
    assert config.warnings == ()
    assert config.delivery.mode == "catch"
    assert config.web_server.default_bind_address == config.smtp_server.default_bind_address == "127.0.0.1"
    assert (config.web_server.default_port, config.smtp_server.default_port) == (5000, 2525)


def test_existing_configuration_is_kept(tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text("version: 2\n")
    assert files.write_configuration(path) is False
    assert path.read_text() == "version: 2\n"


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
