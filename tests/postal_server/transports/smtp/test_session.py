"""One delivery to hosts that do right and wrong."""

from __future__ import annotations

import asyncio
import email
from datetime import timedelta

import pytest

from postal_server.engine.ports import Source, Stage, Target
from postal_server.services.shared.work import Dsn
from postal_server.transports.smtp import connect, session
from postal_server.transports.smtp.session import STAGE_TIMEOUTS, Timeouts
from tests.certificates import server_context, trusting
from tests.fakes import mail
from tests.loops import LOOPS, run

from .scripted import CLOSE, EHLO, HANG, Scripted, ScriptedHost
from .senders import SHORT, pool

EHLO_TLS = "250-host.example\r\n250-PIPELINING\r\n250 STARTTLS"
EHLO_PLAIN = "250 host.example"


def deliver(host: Scripted, loop: str = "asyncio", letter=None, zone=None, **connector):
    """The result of one mail, `dest.example` unless told otherwise, to this host."""

    async def work():
        async with host:
            sender = pool(host.port, zone, **connector)
            result = await sender.send(letter or mail())
            await sender.close()
            await asyncio.sleep(0.01)  # for the host to hear QUIT
            return result

    return run(work(), loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("ehlo", [EHLO, EHLO_PLAIN], ids=["pipelined", "plain"])
def test_a_mail_is_delivered(ehlo, loop):
    host = Scripted(ehlo=ehlo)
    result = deliver(host, loop, mail(data=b"Subject: x\r\n\r\n.dot\r\n"))
    assert result.is_delivered
    assert (result.host, result.address, result.port) == ("mx.dest.example", "127.0.0.1", host.port)
    assert host.received == [b"Subject: x\r\n\r\n..dot\r\n"]
    assert host.lines[0] == "EHLO us.example"
    assert host.lines[-1] == "QUIT"
    assert result.seconds is not None
    assert 0 <= result.seconds < 2
    assert len(result.log_id) == 8


@pytest.mark.parametrize(
    ("ehlo", "parameters"),
    [
        (f"250-host.example\r\n250-DSN\r\n{EHLO}", (" RET=HDRS ENVID=abc", " NOTIFY=FAILURE")),
        (EHLO, ("", "")),
    ],
    ids=["offered", "not offered"],
)
def test_reports_are_asked_for_where_the_host_has_dsn(ehlo, parameters):
    host = Scripted(ehlo=ehlo)
    assert deliver(host, letter=mail(dsn=Dsn("FAILURE", "abc"))).is_delivered
    assert host.lines[1:3] == [
        f"MAIL FROM:<bounce@rp.example> SIZE=21{parameters[0]}",
        f"RCPT TO:<ann@dest.example>{parameters[1]}",
    ]


class RefusesParameters(ScriptedHost):
    """A host that offers DSN, and then does not know the parameters of a command."""

    verb, reply = "MAIL", "555 5.5.4 Unsupported option"

    def obey(self, line: str) -> None:
        if line.startswith(self.verb) and ("ENVID=" in line or "NOTIFY=" in line):
            self.lines.append(line)
            self.transport.write(f"{self.reply}\r\n".encode())
        else:
            super().obey(line)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
@pytest.mark.parametrize("code", [501, 504, 555])
@pytest.mark.parametrize("end", ["250 SIZE 1000000", "250 PIPELINING"])
def test_a_host_that_refuses_the_parameters_it_offers_gets_the_mail_without_them(verb, code, end):
    protocol = type("Host", (RefusesParameters,), {"verb": verb, "reply": f"{code} 5.5.4 no"})
    host = Scripted(ehlo=f"250-host.example\r\n250-DSN\r\n{end}", protocol=protocol)
    assert deliver(host, letter=mail(dsn=Dsn("FAILURE", "abc"))).is_delivered
    assert len(host.connections) == 1
    again = host.lines[host.lines.index("RSET") :]
    assert again[2:4] == ["RCPT TO:<ann@dest.example>", "DATA"]
    assert "ENVID" not in again[1]


def test_a_recipient_that_is_refused_with_and_without_parameters_fails():
    host = Scripted({"RCPT": "501 5.1.3 bad address"}, ehlo=f"250-host.example\r\n250-DSN\r\n{EHLO}")
    result = deliver(host, letter=mail(dsn=Dsn("FAILURE", "abc")))
    assert not result.is_delivered
    assert sum(line.startswith("RCPT") for line in host.lines) == 2


@pytest.mark.parametrize("loop", LOOPS)
def test_a_large_mail_is_delivered_whole(loop):
    host = Scripted(ehlo="250 host.example")
    data = b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 60_000
    assert deliver(host, loop, mail(data=data)).is_delivered
    assert host.received == [data]


@pytest.mark.parametrize(("ehlo", "is_same"), [(EHLO, True), (EHLO_PLAIN, False)], ids=["8BITMIME", "not"])
def test_a_mail_is_made_7_bit_only_for_a_host_that_takes_no_more(ehlo, is_same):
    host = Scripted(ehlo=ehlo)
    header = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    data = header + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "fünf\r\n".encode()
    assert deliver(host, letter=mail(data=data)).is_delivered
    [received] = host.received
    assert (received == data, received.isascii()) == (is_same, not is_same)
    assert email.message_from_bytes(received).get_payload(decode=True) == "fünf\r\n".encode()


@pytest.mark.parametrize(
    ("answers", "stage", "code"),
    [
        ({"MAIL": "451 4.3.0 later"}, Stage.MAIL, 451),
        ({"RCPT": "550 5.1.1 no such user"}, Stage.RCPT, 550),
        ({"DATA": "554 no"}, Stage.DATA, 554),
        ({"DOT": "451 4.7.1 accepted the data, not the mail"}, Stage.DOT, 451),
        ({"DOT": "552 5.3.4 too large"}, Stage.DOT, 552),
        ({"MAIL": "421 4.7.0 too many"}, Stage.MAIL, 421),
    ],
    ids=["MAIL", "RCPT", "DATA", "4xx after the final dot", "5xx after the final dot", "421"],
)
@pytest.mark.parametrize("ehlo", [EHLO, EHLO_PLAIN], ids=["pipelined", "plain"])
def test_a_refusal_is_the_result(ehlo, answers, stage, code):
    result = deliver(Scripted(answers, ehlo))
    assert (result.stage, result.reply.code) == (stage, code)
    assert not result.is_delivered


@pytest.mark.parametrize(
    ("verb", "stage"),
    [
        ("BANNER", Stage.CONNECT),
        ("EHLO", Stage.CONNECT),
        ("MAIL", Stage.MAIL),
        ("RCPT", Stage.RCPT),
        ("DATA", Stage.DATA),
        ("DOT", Stage.DOT),
    ],
)
@pytest.mark.parametrize(
    ("answer", "error"), [(HANG, "timed out"), (CLOSE, "connection closed")], ids=["hang", "close"]
)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_host_that_hangs_or_closes_at_any_stage(verb, stage, answer, error, loop):
    result = deliver(Scripted({verb: answer}, EHLO_PLAIN), loop, timeouts=SHORT)
    assert result.stage is stage
    assert result.reply is None
    assert error in result.error
    assert (result.seconds is None) == (stage is Stage.CONNECT)


@pytest.mark.parametrize("verb", ["BANNER", "EHLO", "MAIL", "DOT"])
def test_garbage_is_no_success_and_ends_the_session(verb):
    host = Scripted({verb: "HTTP/1.1 200 OK\r\nServer: x"}, EHLO_PLAIN)
    result = deliver(host, timeouts=SHORT)
    assert not result.is_delivered
    assert len(host.connections) == 1 or verb == "EHLO"


def test_a_reply_without_end_is_cut_off():
    result = deliver(Scripted({"MAIL": "2" * 100_000}, EHLO_PLAIN))
    assert (result.stage, result.reply, result.error) == (Stage.MAIL, None, "a reply line without end")


def test_an_answer_that_comes_before_the_mail_is_not_an_answer_to_it():
    async def work():
        async with Scripted({}, EHLO_PLAIN) as host:

            async def gate():
                host.connections[0].transport.write(b"250 surprise\r\n")
                await asyncio.sleep(0.02)

            sender = pool(host.port, before_dot=gate)
            result = await sender.send(mail())
            await sender.close()
            return result, host.received

    result, received = run(work())
    assert (result.stage, result.reply, result.error) == (Stage.BLOCK, None, "reply without a command")
    assert received == []


class Impatient(ScriptedHost):
    """Answers at the first piece of a message, and reads no more of it."""

    def data_received(self, data: bytes) -> None:
        if self.in_data:
            self.transport.pause_reading()
            self.answer("DOT", "250 queued")
        else:
            super().data_received(data)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("block", [40_000_000, 1_000_000], ids=["one write", "in blocks"])
@pytest.mark.parametrize(
    ("answer", "stage", "code"),
    [("552 too large", Stage.DOT, 552), ("250 queued", Stage.BLOCK, None)],
    ids=["refused", "taken"],
)
def test_an_answer_in_the_middle_of_a_mail_ends_the_connection(answer, stage, code, block, loop, monkeypatch):
    lost = []

    class Watched(connect.SmtpConnection):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            lost.append(self)

    async def work():
        async with Scripted({"DOT": answer}, EHLO_PLAIN, protocol=Impatient) as host:
            sender = pool(host.port)
            result = await sender.send(mail(data=b"x" * 30_000_000))
            assert sender.open_sessions == 0
            await asyncio.sleep(0.02)
            assert len(lost) == 1
            await sender.close()
            return result

    monkeypatch.setattr(connect, "SmtpConnection", Watched)
    monkeypatch.setattr(session, "BLOCK_BYTES", block)
    result = run(work(), loop)
    assert (result.stage, result.reply and result.reply.code) == (stage, code)


def test_helo_is_said_where_ehlo_is_not_known():
    host = Scripted({"EHLO": "502 what?"})
    assert deliver(host).is_delivered
    assert host.lines[:2] == ["EHLO us.example", "HELO us.example"]


@pytest.mark.parametrize("answer", ["421 busy", "450 later"])
def test_a_host_that_is_busy_at_ehlo_is_not_asked_in_another_way(answer):
    host = Scripted({"EHLO": answer})
    result = deliver(host)
    assert (result.stage, result.error) == (Stage.CONNECT, answer)
    assert not any(line.startswith("HELO") for line in host.lines)


@pytest.mark.parametrize("banner", ["554 no service", "421 busy", "450 later"])
def test_a_host_that_does_not_greet_is_unreachable(banner):
    result = deliver(Scripted({"BANNER": banner}))
    assert result.stage is Stage.CONNECT
    assert [(a.host, a.address, a.error) for a in result.tried] == [("mx.dest.example", "127.0.0.1", banner)]


class TestTls:
    @pytest.mark.parametrize("loop", LOOPS)
    def test_a_certificate_that_verifies_is_recorded(self, loop, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        result = deliver(host, loop, verifying=trusting(certificate[0]))
        assert result.is_delivered
        assert str(result.tls) == "TLSv1.3, certificate verified"
        assert len(host.connections) == 1

    @pytest.mark.parametrize("loop", LOOPS)
    def test_a_large_mail_is_delivered_whole(self, loop, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        data = b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 60_000
        result = deliver(host, loop, mail(data=data), verifying=trusting(certificate[0]))
        assert (result.is_delivered, result.tls is None) == (True, False)
        assert host.received == [data]

    @pytest.mark.parametrize("loop", LOOPS)
    def test_auto_goes_on_with_a_certificate_that_does_not_verify(self, loop, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))

        async def work():
            async with host:
                sender = pool(host.port)
                results = [await sender.send(mail(source=source)) for source in (None, Source("127.0.0.1"))]
                await sender.close()
                return results

        first, second = run(work(), loop)
        assert first.is_delivered
        assert second.is_delivered
        assert str(first.tls) == "TLSv1.3, certificate not verified: self-signed certificate"
        assert second.tls == first.tls
        assert len(host.connections) == 3  # the second delivery knows of the certificate beforehand

    @pytest.mark.parametrize("loop", LOOPS)
    def test_auto_goes_on_in_clear_where_tls_fails(self, loop):
        host = Scripted({"STARTTLS": ["220 go\r\nnot TLS at all"]}, ehlo=EHLO_TLS)
        result = deliver(host, loop)
        assert result.is_delivered
        assert result.tls is None
        assert len(host.connections) == 2

    def test_auto_goes_on_in_clear_where_starttls_is_refused(self):
        host = Scripted({"STARTTLS": "454 not now"}, ehlo=EHLO_TLS)
        result = deliver(host)
        assert result.is_delivered
        assert len(host.connections) == 1

    @pytest.mark.parametrize(
        "injected",
        ["250 injected", "250-injected", "250-a\r\n250-b\r\n250-c", "250-a\r\n250 b", "x"],
        ids=["a reply", "its first line", "its first lines", "its lines", "garbage"],
    )
    def test_text_injected_behind_the_answer_to_starttls_is_not_believed(self, injected, certificate):
        host = Scripted(
            {"STARTTLS": [f"220 go\r\n{injected}"]}, ehlo=EHLO_TLS, tls=server_context(certificate)
        )
        target = Target("dest.example", "mx.dest.example", ssl_mode="STARTTLS")
        result = deliver(host, letter=mail(target=target), verifying=trusting(certificate[0]))
        assert not result.is_delivered
        assert host.received == []

    @pytest.mark.parametrize("mode", ["STARTTLS", "TLS"])
    def test_required_tls_is_never_done_without(self, mode, certificate):
        host = Scripted(ehlo=EHLO_PLAIN if mode == "STARTTLS" else EHLO_TLS)
        target = Target("dest.example", "mx.dest.example", ssl_mode=mode)
        result = deliver(host, letter=mail(target=target), timeouts=SHORT)
        assert result.stage is Stage.CONNECT
        assert host.received == []

    @pytest.mark.parametrize("mode", ["STARTTLS", "TLS"])
    @pytest.mark.parametrize("knows", [True, False], ids=["verified", "unknown"])
    def test_required_tls_is_verified(self, mode, knows, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate), implicit_tls=mode == "TLS")
        target = Target("dest.example", "mx.dest.example", ssl_mode=mode)
        context = {"verifying": trusting(certificate[0])} if knows else {}
        result = deliver(host, letter=mail(target=target), **context)
        assert result.is_delivered is knows
        if not knows:
            assert "self-signed certificate" in result.error

    def test_none_does_not_ask_for_tls(self, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        target = Target("dest.example", "mx.dest.example", ssl_mode="None")
        result = deliver(host, letter=mail(target=target))
        assert result.is_delivered
        assert result.tls is None

    def test_what_a_host_offered_in_clear_counts_no_more(self, certificate):
        # RFC 3207 section 4.2: whoever is in between may have written it.
        host = Scripted(
            {"EHLO": [EHLO_TLS, "250-host.example\r\n250 SIZE 10"]}, tls=server_context(certificate)
        )
        result = deliver(host, verifying=trusting(certificate[0]))
        assert result.reply.enhanced == "5.3.4"  # larger than it takes, as it says within TLS
        assert host.lines == ["EHLO us.example", "STARTTLS", "EHLO us.example", "QUIT"]


class TestLogin:
    TARGET = Target("dest.example", "mx.dest.example", ssl_mode="None", username="user", password="pass")

    @pytest.mark.parametrize(
        ("mechanisms", "lines"),
        [
            ("LOGIN PLAIN", ["AUTH PLAIN AHVzZXIAcGFzcw=="]),
            ("LOGIN", ["AUTH LOGIN", "dXNlcg==", "cGFzcw=="]),
        ],
        ids=["PLAIN", "LOGIN"],
    )
    def test_a_smarthost_is_logged_in_to(self, mechanisms, lines):
        answers = {
            "AUTH": ["334 " if mechanisms == "LOGIN" else "235 ok"],
            "DXNLCG==": "334 ",
            "CGFZCW==": "235 ok",
        }
        host = Scripted(answers, f"250-host.example\r\n250 AUTH {mechanisms}")
        assert deliver(host, letter=mail(target=self.TARGET)).is_delivered
        assert host.lines[1 : 1 + len(lines)] == lines

    @pytest.mark.parametrize(
        "answers",
        [
            {"AUTH": "334 "},
            {"AUTH": ["334 "], "DXNLCG==": "235 ok"},
            {"AUTH": "334 ", "DXNLCG==": "334 ", "CGFZCW==": "334 "},
        ],
        ids=["PLAIN", "LOGIN without a password", "LOGIN"],
    )
    def test_a_log_in_that_does_not_end_is_none(self, answers):
        mechanism = "PLAIN" if len(answers) == 1 else "LOGIN"
        host = Scripted(answers, f"250-host.example\r\n250 AUTH {mechanism}")
        result = deliver(host, letter=mail(target=self.TARGET))
        assert (result.stage, result.reply) == (Stage.CONNECT, None)
        assert not any(line.startswith("MAIL") for line in host.lines)

    def test_a_password_is_not_shown(self):
        assert "secret" not in repr(session.Login("user", "secret"))

    def test_a_refused_password_is_the_error(self):
        host = Scripted({"AUTH": "535 5.7.8 no"}, "250-host.example\r\n250 AUTH PLAIN")
        result = deliver(host, letter=mail(target=self.TARGET))
        assert (result.stage, result.error) == (Stage.CONNECT, "535 5.7.8 no")

    def test_a_password_is_not_sent_in_clear_by_default(self):
        host = Scripted(ehlo="250-host.example\r\n250 AUTH PLAIN")
        target = Target("dest.example", "mx.dest.example", username="user", password="pass")
        result = deliver(host, letter=mail(target=target))
        assert not result.is_delivered
        assert not any(line.startswith("AUTH") for line in host.lines)


class TestTimeouts:
    def test_defaults_are_at_least_those_of_rfc_5321(self):
        minutes = {"BANNER": 5, "MAIL": 5, "RCPT": 5, "DATA": 2, "BLOCK": 3, "DOT": 10}
        assert all(STAGE_TIMEOUTS[Stage[name]] >= timedelta(minutes=m) for name, m in minutes.items())

    def test_limited_leaves_the_message_its_time(self):
        timeouts = Timeouts.limited(timedelta(seconds=30), timedelta(seconds=30))
        assert timeouts.seconds(Stage.CONNECT) == timeouts.seconds(Stage.MAIL) == 30
        assert timeouts.seconds(Stage.DOT) == 600

    def test_every_stage_with_a_wait_has_one(self):
        assert set(STAGE_TIMEOUTS) == set(Stage) - {Stage.RESOLVE}


def test_a_delivery_that_is_cancelled_leaves_no_connection():
    async def work():
        async with Scripted({"DOT": HANG}) as host:
            sender = pool(host.port)
            task = asyncio.ensure_future(sender.send(mail()))
            while not host.received:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert sender.open_sessions == 0
            await sender.close()

    run(work())
