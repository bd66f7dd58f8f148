"""Which certificates SMTP can show, and what is said of others."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postal_server.installation import certificate

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
HOST = "mx.example.com"


@pytest.fixture
def write(tmp_path):
    """A certificate for `names` that an authority signed, or itself, and its key."""

    def write(*names, days=(-1, 1), is_self_signed=False, suffix=""):
        key, authority = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        subject, issuer = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (names[0], "An authority")
        )
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if is_self_signed else issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=days[0]))
            .not_valid_after(NOW + timedelta(days=days[1]))
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
            )
            .sign(key if is_self_signed else authority, hashes.SHA256())
        )
        paths = tmp_path / f"fullchain{suffix}.pem", tmp_path / f"privkey{suffix}.pem"
        paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    return write


def problem(paths):
    return certificate.problem(*paths, HOST, NOW)


@pytest.mark.parametrize("names", [[HOST], ["www.example.com", "MX.example.com"], ["*.example.com"]])
def test_a_certificate_for_the_host_is_fine(write, names):
    paths = write(*names)
    assert problem(paths) == ""
    assert list(certificate.remarks(paths[0], HOST)) == []


def test_what_is_wrong_is_named(write, tmp_path):
    paths, others = write(HOST), write(HOST, suffix="2")
    nothing = tmp_path / "nothing.pem"
    text = tmp_path / "text.pem"
    text.write_text("something else")
    for wrong, said in (
        (
            (nothing, paths[1]),
            f"{nothing}: there is no such file. `sudo certbot certonly --standalone --domain {HOST}`",
        ),
        ((paths[0], nothing), f"{nothing}: there is no such file."),
        ((tmp_path, paths[1]), f"{tmp_path}: cannot be read (Is a directory)."),
        ((text, paths[1]), f"{text}: is not a certificate in PEM format."),
        ((paths[0], text), f"{text}: is not a private key in PEM format without a password."),
        ((paths[0], others[1]), f"{others[1]}: is not the key of {paths[0]}."),
    ):
        assert problem(wrong).startswith(said)


@pytest.mark.parametrize(
    ("names", "days", "said"),
    [
        ([HOST], (-90, -1), "expired on 2026-05-31. `sudo certbot renew` renews it."),
        ([HOST], (1, 90), "is not valid before 2026-06-02."),
        (["www.example.com"], (-1, 1), f"is for www.example.com, not for {HOST} (postal.smtp_hostname)."),
        (["*.mx.example.com", "example.com"], (-1, 1), f"not for {HOST}"),
    ],
)
def test_a_certificate_that_others_would_refuse_is_named(write, names, days, said):
    paths = write(*names, days=days)
    assert said in problem(paths)
    assert problem(paths).startswith(str(paths[0]))


@pytest.mark.parametrize(("name", "said"), [(HOST, "service install --certbot"), ("localhost", "Delete it")])
def test_a_self_signed_one_can_be_used_and_is_told(write, name, said):
    paths = write(name, is_self_signed=True)
    assert problem(paths) == ""
    [remark] = certificate.remarks(paths[0], HOST)
    assert said in remark


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as somebody else")
def test_a_key_of_root_alone_names_the_user_who_cannot_read_it(write, tmp_path):
    paths = write(HOST)
    tmp_path.chmod(0o700)
    try:
        os.seteuid(65534)
        said = problem(paths)
    finally:
        os.seteuid(0)
    assert said.startswith(f"{paths[0]}: the user nobody may not read it. Leave it out. ")
    assert "`postal-server service install --certbot`" in said
