from __future__ import annotations

import contextlib
import os
import ssl

import pytest

from postal_server.smtpd import tls
from postal_server.smtpd.tls import Certificates
from tests.certificates import write_certificate
from tests.loops import LOOPS, run

from .talk import Running, Talk, trusting


def served_certificate(context: ssl.SSLContext) -> bytes:
    """What a client is shown in a handshake with this context."""
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting().wrap_bio(client_in, client_out)
    server = context.wrap_bio(client_out, client_in, server_side=True)
    for _ in range(4):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return client.getpeercert(binary_form=True) or b""


@pytest.fixture
def always_looking(monkeypatch):
    monkeypatch.setattr(tls, "CHECK_INTERVAL", 0.0)


@pytest.mark.parametrize("lasting", [True, False], ids=["of a listener", "of a connection"])
def test_a_renewed_certificate_is_served(tmp_path, always_looking, lasting):
    certificates = Certificates(*write_certificate(tmp_path))
    context = certificates.lasting_context if lasting else certificates.context
    first = context()
    old = served_certificate(first)
    paths = write_certificate(tmp_path)
    os.utime(paths[0], (1, 1))
    new = served_certificate(first if lasting else context())
    assert old != new
    assert new == ssl.PEM_cert_to_DER_cert(paths[0].read_text())


def test_half_a_renewal_leaves_the_old_one(tmp_path, always_looking, caplog):
    paths = write_certificate(tmp_path)
    certificates = Certificates(*paths)
    old = served_certificate(certificates.context())
    paths[0].write_text("-----BEGIN CERTIFICATE-----\n")
    assert served_certificate(certificates.context()) == old
    assert "keeping the old one" in caplog.text
    paths[0].unlink()
    assert served_certificate(certificates.context()) == old


def test_a_certificate_without_its_key_is_reported_once(tmp_path, always_looking, caplog):
    paths = write_certificate(tmp_path)
    certificates = Certificates(*paths)
    old, key = served_certificate(certificates.context()), paths[1].read_bytes()
    write_certificate(tmp_path)
    renewed = paths[1].read_bytes()
    paths[1].write_bytes(key)
    for _ in range(3):
        assert served_certificate(certificates.context()) == old
    assert caplog.text.count("keeping the old one") == 1
    paths[1].write_bytes(renewed)
    assert served_certificate(certificates.context()) == ssl.PEM_cert_to_DER_cert(paths[0].read_text())
    paths[1].write_bytes(key)
    certificates.context()
    assert caplog.text.count("keeping the old one") == 2


def test_files_that_are_no_certificate_cannot_be_used(tmp_path):
    (tmp_path / "x").write_text("no")
    with pytest.raises(ssl.SSLError):
        Certificates(tmp_path / "x", tmp_path / "x")


@pytest.mark.parametrize("loop", LOOPS)
def test_implicit_tls_greets_inside_tls(loop, certificate):
    async def work():
        async with Running(certificates=Certificates(*certificate), implicit_tls=True) as server:
            talk = await server.talk("EHLO c", tls=trusting())
            assert "STARTTLS" not in await talk.say("EHLO c")
            await talk.say("AUTH PLAIN AHVzZXIASzcwZ3kzZ0hRWmFGQjl2TWhpSGNibnBO")
            for line in ("MAIL FROM:<me@example.test>", "RCPT TO:<a@dest.example>", "DATA"):
                await talk.say(line)
            assert (await talk.say("Subject: x\r\n\r\n.")) == "250 2.0.0 OK"
        [(session, _)] = server.handler.accepted
        assert session.tls.startswith("TLS")
        assert ("postal_smtp_server_tls_connections_total", {}) in server.counted

    run(work(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_commands_injected_behind_starttls_are_thrown_away(loop, certificate):
    """CVE-2021-33515, CVE-2021-38371 and their kin: what came in clear is not obeyed inside TLS."""

    async def work():
        async with Running(certificates=Certificates(*certificate)) as server:
            talk = await server.talk("EHLO c", "MAIL FROM:<x@y.example>", "RCPT TO:<in@example.test>")
            talk.send(
                b"STARTTLS\r\nEHLO injected\r\nMAIL FROM:<evil@y.example>\r\nRCPT TO:<in@example.test>\r\n"
            )
            assert (await talk.reply()).startswith("220 ")
            await talk.start_tls()
            # Nothing said in clear counts: neither the greeting, nor the transaction, nor what was injected.
            assert (await talk.say("MAIL FROM:<me@y.example>")).startswith("503 ")
            assert (await talk.say("DATA")).startswith("503 ")
            assert "AUTH" in await talk.say("EHLO c")
            assert (await talk.say("QUIT")).startswith("221 ")
        assert server.handler.accepted == []

    run(work(), loop)


def test_authentication_does_not_survive_starttls(certificate):
    async def work():
        async with Running(certificates=Certificates(*certificate)) as server:
            talk = await server.talk(
                "EHLO c", "AUTH PLAIN AHVzZXIASzcwZ3kzZ0hRWmFGQjl2TWhpSGNibnBO", "STARTTLS"
            )
            await talk.start_tls()
            await talk.say("EHLO c")
            await talk.say("MAIL FROM:<me@example.test>")
            assert (await talk.say("RCPT TO:<a@dest.example>")).startswith("530 ")

    run(work())


def test_starttls_twice_or_without_a_certificate_is_refused(certificate):
    async def work():
        async with Running(certificates=Certificates(*certificate)) as server:
            talk = await server.talk("EHLO c", "STARTTLS")
            await talk.start_tls()
            assert (await talk.say("STARTTLS")).startswith("503 ")
        async with Running() as server:
            talk = await server.talk()
            assert "STARTTLS" not in await talk.say("EHLO c")
            assert (await talk.say("STARTTLS")).startswith("502 ")

    run(work())


def test_a_failed_handshake_is_no_error_of_ours(certificate, caplog):
    async def work():
        async with Running(certificates=Certificates(*certificate)) as server:
            talk = await server.talk("EHLO c", "STARTTLS")
            talk.send(b"this is no TLS at all, is it?\r\n" * 10)
            await talk.reader.read()
            assert (await (await server.talk()).say("NOOP")).startswith("250 ")

    run(work())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


class TestPlaintextAuth:
    def offers(self, certificate, *, plaintext_auth: bool, inside: bool) -> str:
        async def work() -> str:
            kwargs = {"certificates": Certificates(*certificate), "plaintext_auth": plaintext_auth}
            async with Running(**kwargs) as server:
                talk: Talk = await server.talk("EHLO c")
                if inside:
                    await talk.say("STARTTLS")
                    await talk.start_tls()
                ehlo = await talk.say("EHLO c")
                reply = await talk.say("AUTH PLAIN AHVzZXIASzcwZ3kzZ0hRWmFGQjl2TWhpSGNibnBO")
                return ehlo.splitlines()[-1][4:] + " -> " + reply[:3]

        return run(work())

    @pytest.mark.parametrize(
        ("plaintext_auth", "inside", "offered"),
        [
            (False, False, "AUTH CRAM-MD5 -> 530"),
            (False, True, "AUTH CRAM-MD5 PLAIN LOGIN -> 235"),
            (True, False, "AUTH CRAM-MD5 PLAIN LOGIN -> 235"),
        ],
    )
    def test_keys_are_not_taken_in_clear_where_tls_is_to_be_had(
        self, certificate, plaintext_auth, inside, offered
    ):
        assert self.offers(certificate, plaintext_auth=plaintext_auth, inside=inside) == offered
