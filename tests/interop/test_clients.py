"""Submission as other programs speak it: swaks and Python's smtplib, every mechanism, both kinds of TLS."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from collections.abc import Sequence

import pytest

from postal_server.testing import free_ports
from tests.altered import AlteredServer

from . import daemons

MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5"]


@pytest.fixture(scope="module")
def running():
    """A server with a port for TLS from the first byte."""
    [port] = free_ports(1)
    with AlteredServer({"smtp_server:\n": f"smtp_server:\n  implicit_tls_port: {port}\n"}) as server:
        server.tls_port = port
        yield server


@pytest.fixture
def postal(running):
    return running.add()


def user_of(postal, mechanism: str) -> str:
    """CRAM-MD5 finds the mail server by the user's name; the others do not look at it."""
    return f"tests/{postal.domain.removesuffix('.test')}" if mechanism == "CRAM-MD5" else "anybody"


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class TestSwaks:
    """swaks has its own SMTP, its own SASL (Authen::SASL) and OpenSSL behind Perl."""

    def swaks(self, postal, port: int, *options: str) -> subprocess.CompletedProcess[str]:
        command = [
            daemons.swaks(*self.needed(options)), "--server", "127.0.0.1", "--port", str(port),
            "--suppress-data",
            "--from", f"app@{postal.domain}", "--to", "bob@example.org", "--header", "Subject: swaks",
            "--helo", "client.example", *options,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def needed(self, options: Sequence[str]) -> list[str]:
        """What swaks has to be able to do for these options."""
        mechanism = options[options.index("--auth") + 1] if "--auth" in options else ""
        basic = [] if not mechanism else [f"AUTH {mechanism}" if mechanism == "CRAM-MD5" else "Basic AUTH"]
        return [*basic, *(["TLS"] if {"--tls", "--tls-on-connect"} & set(options) else [])]

    def login(self, postal, mechanism: str, key: str | None = None) -> Sequence[str]:
        user, key = user_of(postal, mechanism), key or postal.smtp_key
        return ["--auth", mechanism, "--auth-user", user, "--auth-password", key]

    @pytest.mark.parametrize("mechanism", MECHANISMS)
    @pytest.mark.parametrize("tls", ["none", "--tls", "--tls-on-connect"])
    def test_mail_is_delivered(self, postal, running, mechanism, tls):
        port = running.tls_port if tls == "--tls-on-connect" else running.smtp_port
        done = self.swaks(
            postal, port, *self.login(postal, mechanism), *([tls] if tls.startswith("-") else [])
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("TLS started" in done.stdout) is (tls != "none")
        postal.outbox.wait_for(to="bob@example.org", subject="swaks")

    @pytest.mark.parametrize("mechanism", MECHANISMS)
    def test_wrong_key_is_refused(self, postal, running, mechanism):
        done = self.swaks(postal, running.smtp_port, "--tls", *self.login(postal, mechanism, "wrong"))
        assert done.returncode == 28, done.stdout  # "error authenticating"
        assert " 535 " in done.stdout

    def test_pipelined_mail_is_delivered(self, postal, running):
        done = self.swaks(postal, running.smtp_port, "--pipeline", *self.login(postal, "PLAIN"))
        assert done.returncode == 0, done.stdout + done.stderr
        postal.outbox.wait_for(to="bob@example.org", subject="swaks")

    def test_proxy_line_is_garbage_where_none_is_expected(self, postal, running):
        done = self.swaks(
            postal, running.smtp_port, "--proxy-version", "1", "--proxy-family", "TCP4",
            "--proxy-source", "192.0.2.1", "--proxy-source-port", "1", "--proxy-dest", "192.0.2.2",
            "--proxy-dest-port", "25", "--quit-after", "EHLO",
        )  # fmt: skip
        assert " 5" in done.stdout


class TestSmtplib:
    def submit(self, client: smtplib.SMTP, postal, mechanism: str) -> None:
        client.ehlo()
        client.user, client.password = user_of(postal, mechanism), postal.smtp_key
        method = getattr(client, f"auth_{mechanism.lower().replace('-', '_')}")
        assert client.auth(mechanism, method)[0] == 235
        client.sendmail(f"app@{postal.domain}", "bob@example.org", self.mail(postal))

    def mail(self, postal) -> str:
        return f"From: app@{postal.domain}\r\nTo: bob@example.org\r\nSubject: smtplib\r\n\r\nHello\r\n"

    @pytest.mark.parametrize("mechanism", MECHANISMS)
    def test_in_clear(self, postal, running, mechanism):
        with smtplib.SMTP("127.0.0.1", running.smtp_port, timeout=20) as client:
            self.submit(client, postal, mechanism)
        postal.outbox.wait_for(subject="smtplib")

    @pytest.mark.parametrize("mechanism", MECHANISMS)
    def test_starttls(self, postal, running, mechanism):
        with smtplib.SMTP("127.0.0.1", running.smtp_port, timeout=20) as client:
            assert client.starttls(context=trusting())[0] == 220
            self.submit(client, postal, mechanism)
            assert client.sock.version() in ("TLSv1.2", "TLSv1.3")
        postal.outbox.wait_for(subject="smtplib")

    @pytest.mark.parametrize("mechanism", MECHANISMS)
    def test_implicit_tls(self, postal, running, mechanism):
        with smtplib.SMTP_SSL("127.0.0.1", running.tls_port, timeout=20, context=trusting()) as client:
            assert not client.has_extn("starttls")
            self.submit(client, postal, mechanism)
        postal.outbox.wait_for(subject="smtplib")

    def test_login_chooses_a_mechanism_that_works(self, postal, running):
        """smtplib tries CRAM-MD5 first; our user is unknown to it, and it goes on to PLAIN."""
        with smtplib.SMTP("127.0.0.1", running.smtp_port, timeout=20) as client:
            assert client.login("anybody", postal.smtp_key)[0] == 235

    def test_several_mails_over_one_connection(self, postal, running):
        with smtplib.SMTP("127.0.0.1", running.smtp_port, timeout=20) as client:
            client.login("anybody", postal.smtp_key)
            for number in range(5):
                client.sendmail(f"app@{postal.domain}", f"r{number}@example.org", self.mail(postal))
        for number in range(5):
            postal.outbox.wait_for(to=f"r{number}@example.org")

    def test_non_ascii_address(self, postal, running):
        with smtplib.SMTP("127.0.0.1", running.smtp_port, timeout=20) as client:
            client.login("anybody", postal.smtp_key)
            client.sendmail(
                f"app@{postal.domain}",
                "jürgen@example.org",
                self.mail(postal).encode(),
                mail_options=["SMTPUTF8", "BODY=8BITMIME"],
            )
        postal.outbox.wait_for(to="jürgen@example.org")
