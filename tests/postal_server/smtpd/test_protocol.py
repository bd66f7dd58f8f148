"""What the recordings do not show: extensions, limits, smuggling, slow and broken peers."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server import errors
from postal_server.errors import ConfigurationError
from postal_server.services.shared.throttle import Limits
from postal_server.smtpd import connection as connection_module
from postal_server.smtpd import data as data_module
from postal_server.smtpd import protocol
from postal_server.smtpd import server as server_module
from postal_server.smtpd.handler import ClientSession, Principal, Recipient
from postal_server.smtpd.options import MAX_AUTH_LINE_BYTES, MAX_LINE_BYTES, Options
from postal_server.smtpd.server import ListenAddress, SmtpServer
from tests.each import each
from tests.loops import LOOPS, run

from .talk import HOSTNAME, MemoryHandler, Running, Talk

TO_IN = ("EHLO c", "MAIL FROM:<ext@remote.example>", "RCPT TO:<in@example.test>")
HELLO = b"Subject: x\r\n\r\nHello\r\n"


def talk(test, *lines, loop="asyncio", **kwargs):
    """Run `test(talk, server)` after `lines` were said; returns the accepted envelopes."""

    async def work():
        async with Running(**kwargs) as server:
            await test(await server.talk(*lines), server)
            return [envelope for _, envelope in server.handler.accepted]

    return run(work(), loop)


class TakesAll(MemoryHandler):
    def accept_recipient(self, session: ClientSession, address: str) -> Recipient:
        return Recipient(address, "incoming", None)


def codes(reply: str) -> list[str]:
    return [line[:3] for line in reply.splitlines()]


class TestSmuggling:
    @each("loop", LOOPS)
    @each(
        "end",
        [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\n\0.\r\n"],
        ids=repr,
    )
    def test_cve_2024_27938_only_crlf_dot_crlf_ends_a_message(self, end, loop):
        smuggled = (
            b"MAIL FROM:<evil@example.test>\r\nRCPT TO:<in@example.test>\r\nDATA\r\nSubject: evil\r\n\r\n"
        )
        data = HELLO + b"a" + end + smuggled

        async def test(talk, _):
            talk.send(data + b".\r\n")
            assert (await talk.reply()).startswith("250 ")

        [envelope] = talk(test, *TO_IN, "DATA", loop=loop)
        assert envelope.data == data  # bare CR and LF are content

    @each("size", [1, 2, 3, 5, 7])
    def test_the_end_is_found_however_it_is_cut(self, size):
        message = HELLO + b"\r\n..\r\n.x\r\n\n.\n" + b"\r\n.\r\n"

        async def test(talk, _):
            for start in range(0, len(message), size):
                talk.send(message[start : start + size])
                await asyncio.sleep(0)
            assert (await talk.reply()).startswith("250 ")

        [envelope] = talk(test, *TO_IN, "DATA")
        assert envelope.data == HELLO + b"\r\n.\r\n.x\r\n\n.\n\r\n"

    @each(
        "sent, content",
        [
            (b".\r\n", b""),
            (b"..\r\n.\r\n", b".\r\n"),
            (b"..a\r\n...b\r\n.c\r\n.\r\n", b".a\r\n..b\r\n.c\r\n"),
            (b"\r\n.\r\n", b"\r\n"),
            (b"a\n..b\n...\n..\n.\n\r\n.\r\n", b"a\n.b\n..\n.\n.\n\r\n"),
        ],
        ids=["empty", "a dot", "as Postal", "a blank line", "behind a bare LF"],
    )
    def test_dots_are_unstuffed(self, sent, content):
        async def test(talk, _):
            talk.send(sent)
            assert (await talk.reply()).startswith("250 ")

        [envelope] = talk(test, *TO_IN, "DATA")
        assert envelope.data == content

    @given(st.binary(max_size=600))
    def test_any_bytes_leave_the_server_alive(self, data):
        async def test(talk, server):
            talk.send(data + b"\r\n.\r\nQUIT\r\n")
            await asyncio.sleep(0.01)
            assert (await (await server.talk()).say("NOOP")).startswith("250 ")

        talk(test)


class TestExtensions:
    def test_ehlo_offers_them(self):
        async def test(talk, _):
            offers = [line[4:] for line in (await talk.say("EHLO c")).splitlines()[1:]]
            assert offers == [
                "SIZE 14680064",
                "8BITMIME",
                "PIPELINING",
                "SMTPUTF8",
                "ENHANCEDSTATUSCODES",
                "CHUNKING",
                "AUTH CRAM-MD5 PLAIN LOGIN",
            ]

        talk(test)

    @pytest.mark.parametrize("loop", LOOPS)
    def test_pipelined_mails_are_answered_in_order(self, loop):
        one = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<in@example.test>\r\nDATA\r\n"
        count = 20

        async def test(talk, _):
            talk.send(b"EHLO c\r\n")
            await talk.reply()
            for number in range(count):  # what follows DATA is the message: it needs no go-ahead to be here
                talk.send(one + b"Subject: %d\r\n.\r\n" % number)
            replies = [await talk.reply() for _ in range(4 * count)]
            assert replies == ["250 2.0.0 OK", "250 2.0.0 OK", "354 Go ahead", "250 2.0.0 OK"] * count

        accepted = talk(test, loop=loop)
        assert [envelope.data for envelope in accepted] == [b"Subject: %d\r\n" % n for n in range(count)]

    def test_what_comes_while_a_message_is_stored_waits(self):
        async def test(talk, server):
            server.handler.may_finish = asyncio.Event()
            talk.send(HELLO + b".\r\nNOOP\r\nEHLO d\r\n")
            await asyncio.sleep(0.02)
            assert not talk.reader._buffer
            server.handler.may_finish.set()
            assert [(await talk.reply())[:3] for _ in range(3)] == ["250", "250", "250"]

        talk(test, *TO_IN, "DATA")

    def test_mail_parameters_reach_the_handler(self):
        async def test(talk, _):
            await talk.say("MAIL FROM:<jürgen@remote.example> SMTPUTF8 BODY=8BITMIME")
            await talk.say("RCPT TO:<in@example.test>")
            await talk.say("DATA")
            await talk.say(".")

        [envelope] = talk(test, "EHLO c")
        assert (envelope.reverse_path, envelope.smtputf8, envelope.body) == (
            "jürgen@remote.example",
            True,
            "8BITMIME",
        )

    @pytest.mark.parametrize(
        "command", ["MAIL FROM:<a@b> SIZE=x", "MAIL FROM:<a@b> SIZE=-1", "MAIL FROM:<a@b> BODY=BINARYMIME"]
    )
    def test_a_parameter_that_cannot_be_right_is_refused(self, command):
        async def test(talk, _):
            assert (await talk.say(command)).startswith("501 5.5.4 ")

        talk(test, "EHLO c")


class TestChunking:
    @pytest.mark.parametrize("loop", LOOPS)
    def test_chunks_are_joined_untouched(self, loop):
        async def test(talk, _):
            talk.send(b"BDAT 9\r\nSubject: " + b"BDAT 12\r\nx\r\n\r\n..\r\n.\r\n")
            talk.send(b"BDAT 0 LAST\r\nNOOP\r\n")
            assert [(await talk.reply())[:3] for _ in range(4)] == ["250"] * 4

        [envelope] = talk(test, *TO_IN, loop=loop)
        assert envelope.data == b"Subject: x\r\n\r\n..\r\n.\r\n"

    def test_a_refused_chunk_is_read_over(self):
        async def test(talk, _):
            talk.send(b"BDAT 22 LAST\r\nMAIL FROM:<a@b.test>\r\nNOOP\r\n")
            assert [(await talk.reply())[:3] for _ in range(2)] == ["503", "250"]

        assert talk(test, "EHLO c") == []

    @each(
        "path, address",
        [
            ("<@relay.example:in@example.test>", "in@example.test"),
            ("<@a.example,@b.example:in@example.test>", "in@example.test"),
            ("<in@example.test.>", "in@example.test"),
            ('<"in"@example.test>', "in@example.test"),
            ('<"a>b<c@d"@example.test>', '"a>b<c@d"@example.test'),
            ("<in@bücher.test>", "in@xn--bcher-kva.test"),
            ("<Postmaster>", "Postmaster"),
        ],
    )
    def test_a_recipient_is_taken_in_one_spelling(self, path, address):
        async def test(talk, _):
            assert (await talk.say(f"RCPT TO:{path}")).startswith("250")
            assert (await talk.say("DATA")).startswith("354")
            talk.send(HELLO + b".\r\n")
            assert (await talk.reply()).startswith("250")

        [envelope] = talk(test, "EHLO c", "MAIL FROM:<@r.example:x@y.example.>", handler=TakesAll())
        assert [recipient.address for recipient in envelope.recipients] == [address]
        assert envelope.reverse_path == "x@y.example"

    @each(
        "path",
        [
            "<@relay.example in@example.test>",
            "<a@b@example.test>",
            '<"open@example.test>',
            "<in@example..test>",
            "<in@-.test>",
            "<a b@example.test>",
            "<nobody>",
            "<in@example.test>,<x@example.test>",
            "in@example.test x@example.test",
        ],
    )
    def test_what_is_no_address_is_refused_at_once(self, path):
        async def test(talk, _):
            assert (await talk.say(f"RCPT TO:{path}")).startswith("501 5.1.3")

        assert talk(test, "EHLO c", "MAIL FROM:<x@y.example>") == []

    def test_data_and_rcpt_must_wait_for_the_last_chunk(self):
        async def test(talk, _):
            talk.send(b"BDAT 2\r\nab")
            assert (await talk.reply()).startswith("250")
            assert (await talk.say("DATA")).startswith("503")
            assert (await talk.say("RCPT TO:<in@example.test>")).startswith("503")
            talk.send(b"BDAT 2 LAST\r\ncd")
            assert (await talk.reply()).startswith("250")

        [envelope] = talk(test, *TO_IN)
        assert envelope.data == b"abcd"

    def test_chunks_above_the_limit_are_refused_and_not_kept(self):
        async def test(talk, _):
            talk.send(b"BDAT 800\r\n" + b"x" * 800)
            assert (await talk.reply()).startswith("250")
            talk.send(b"BDAT 800 LAST\r\n" + b"x" * 800)
            assert (await talk.reply()).startswith("552")
            assert (await talk.say("NOOP")).startswith("250")

        assert talk(test, *TO_IN, max_message_bytes=1000) == []


class TestLimits:
    def test_unbounded_command_line(self):
        async def test(talk, server):
            talk.send(b"NOOP " + b"x" * 1_000_000)
            await asyncio.sleep(0.05)
            [connection] = server.server._connections
            assert len(connection._buffer) <= MAX_LINE_BYTES + 1
            talk.send(b"\r\n")
            assert (await talk.reply()).startswith("500 ")
            assert (await talk.say("NOOP")).startswith("250 ")

        talk(test, "EHLO c")

    @each(
        "line, code",
        [
            ("NOOP " + "x" * (MAX_LINE_BYTES - 6), "250"),
            ("NOOP " + "x" * MAX_LINE_BYTES, "500"),
            ("AUTH PLAIN " + "x" * 8000, "535"),
            ("AUTH PLAIN " + "x" * MAX_AUTH_LINE_BYTES, "500"),
        ],
    )
    def test_a_line_may_be_so_long(self, line, code):
        async def test(talk, _):
            assert (await talk.say(line)).startswith(code)

        talk(test, "EHLO c")

    @pytest.mark.parametrize("loop", LOOPS)
    def test_unbounded_data_is_drained_before_it_is_refused(self, loop):
        async def test(talk, server):
            for _ in range(100):
                talk.send(b"x" * 9998 + b"\r\n")
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            [connection] = server.server._connections
            assert len(connection._buffer) < 200_000
            assert (await talk.say(".")) == "552 5.3.4 Message too large (maximum size 0MB)"
            assert (await talk.say("NOOP")).startswith("250 ")

        assert talk(test, *TO_IN, "DATA", loop=loop, max_message_bytes=100_000) == []

    @each("size, code", [(1000, "250"), (1001, "552")])
    @each("cut", [0, 1, 2, 3, 4, 5, 6])
    def test_the_limit_is_exact_however_the_end_is_cut(self, size, code, cut):
        async def test(talk, _):
            message = b"x" * (size - 2) + b"\r\n.\r\n"
            talk.send(message[: len(message) - cut])
            await asyncio.sleep(0.005)
            talk.send(message[len(message) - cut :])
            assert (await talk.reply()).startswith(code)

        accepted = talk(test, *TO_IN, "DATA", max_message_bytes=1000)
        assert [len(envelope.data) for envelope in accepted] == ([size] if code == "250" else [])

    def test_smuggling_in_what_is_drained(self):
        async def test(talk, _):
            talk.send(b"x" * 2000 + b".\r\n")
            await asyncio.sleep(0.01)
            talk.send(b".\r\nNOOP\r\nx.\r\n")
            assert (await talk.reply()).startswith("552 ")
            assert (await talk.reply()).startswith("250 ")  # NOOP, behind the true end
            assert (await talk.reply()).startswith("502 ")

        talk(test, *TO_IN, "DATA", max_message_bytes=1000)

    def test_a_size_declared_beforehand_is_refused_at_once(self):
        async def test(talk, _):
            assert (await talk.say("MAIL FROM:<a@b> SIZE=1001")).startswith("552 5.3.4 ")
            assert (await talk.say("MAIL FROM:<a@b> SIZE=1000")).startswith("250 ")

        talk(test, "EHLO c", max_message_bytes=1000)

    def test_recipients_of_a_transaction(self):
        async def test(talk, _):
            replies = [await talk.say("RCPT TO:<in@example.test>") for _ in range(3)]
            assert [reply[:9] for reply in replies] == ["250 2.0.0", "250 2.0.0", "452 4.5.3"]
            await talk.say("DATA")
            assert (await talk.say(".")).startswith("250 ")

        [envelope] = talk(test, "EHLO c", "MAIL FROM:<>", max_recipients=2)
        assert len(envelope.recipients) == 2

    def test_commands_without_a_message(self):
        async def test(talk, _):
            replies = [(await talk.say("NOOP"))[:3] for _ in range(4)]
            assert replies == ["250", "250", "250", "421"]
            assert await talk.reply() == "<closed>"

        talk(test, "EHLO c", max_commands=4)

    def test_errors_without_a_message(self):
        async def test(talk, _):
            assert (await talk.say("FOO")).startswith("502 ")
            assert (await talk.say("FOO")).startswith("502 ")
            talk.send(b"FOO\r\n")
            assert (await talk.reply()).startswith("502 ")
            assert (await talk.reply()).startswith("421 4.7.0 ")
            assert await talk.reply() == "<closed>"

        talk(test, "EHLO c", max_errors=2)

    def test_a_message_that_is_taken_starts_the_counts_anew(self):
        async def test(talk, _):
            for _ in range(10):
                for line in (*TO_IN[1:], "DATA", "."):
                    assert (await talk.say(line))[0] in "23"

        assert len(talk(test, "EHLO c", max_commands=8)) == 10

    def test_connections_of_a_client(self):
        async def test(first, server):
            extra = await Talk.to(server.address)
            assert (await extra.reply()).startswith("421 4.7.0 ")
            assert await extra.reply() == "<closed>"
            await first.say("QUIT")
            await asyncio.sleep(0.02)
            assert (await (await server.talk()).say("NOOP")).startswith("250 ")

        talk(test, max_connections_per_client=1)

    @each("loop", LOOPS)
    @each("lines", [(), TO_IN[:1], TO_IN], ids=["greeted", "EHLO", "RCPT"])
    def test_the_stranger_that_is_idle_for_longest_gives_way_to_a_new_connection(self, lines, loop):
        async def test(first, server):
            second = await server.talk(*lines)
            await asyncio.sleep(0.01)  # a tick of the loop's clock
            assert (await first.say("NOOP"))[:3] == "250"
            third = await server.talk()
            assert (await second.reply()).startswith("421 4.3.2 ")
            assert await second.reply() == "<closed>"
            assert [(await each.say("NOOP"))[:3] for each in (first, third)] == ["250", "250"]
            third.close()
            await asyncio.sleep(0.02)
            await server.talk()  # the place is free: nobody has to go
            assert (await first.say("NOOP"))[:3] == "250"

        talk(test, *lines, loop=loop, max_connections=2)

    @each("loop", LOOPS)
    @each(
        "lines",
        [
            ("EHLO c", "AUTH PLAIN AHgASzcwZ3kzZ0hRWmFGQjl2TWhpSGNibnBO"),
            (*TO_IN, "DATA"),
            (*TO_IN, "BDAT 4\r\nhi"),
        ],
        ids=["logged in", "DATA", "BDAT"],
    )
    def test_who_has_logged_in_or_sends_a_message_does_not_give_way(self, lines, loop):
        async def test(first, server):
            extra = await Talk.to(server.address)
            assert (await extra.reply()).startswith("421 4.7.0 ")
            first.send(b"x\r\n.\r\n" if lines[-1] == "DATA" else b"NOOP\r\n")
            assert (await first.reply())[:3] == "250"

        talk(test, *lines, loop=loop, max_connections=1)

    def test_a_message_that_is_being_stored_does_not_give_way(self):
        async def test(first, server):
            server.handler.may_finish = asyncio.Event()
            first.send(b"DATA\r\nx\r\n.\r\n")
            assert (await first.reply())[:3] == "354"
            await asyncio.sleep(0.02)
            assert (await (await Talk.to(server.address)).reply()).startswith("421 4.7.0 ")
            server.handler.may_finish.set()
            assert (await first.reply())[:3] == "250"

        talk(test, *TO_IN, max_connections=1)

    def test_no_connection_gives_way_to_a_client_that_has_too_many(self):
        async def test(first, server):
            assert (await (await Talk.to(server.address)).reply()).startswith("421 4.7.0 ")
            assert (await first.say("NOOP"))[:3] == "250"

        talk(test, max_connections=1, max_connections_per_client=1)

    def test_who_does_not_read_gives_way_as_well(self):
        async def test(first, server):
            [connection] = server.server._connections
            first.transport.pause_reading()
            while not connection._is_full:
                first.send(b"EHLO c\r\n" * 1000)
                await asyncio.sleep(0)
            await server.talk("NOOP")
            await asyncio.sleep(0.02)
            assert connection not in server.server._connections

        talk(test, max_connections=1, max_commands=10**9)

    @pytest.mark.parametrize(
        ("login", "is_known", "codes"),
        [
            ("NOOP", False, ["250", "450", "450"]),
            ("AUTH PLAIN AHgASzcwZ3kzZ0hRWmFGQjl2TWhpSGNibnBO", False, ["250", "250", "250"]),
            ("NOOP", True, ["250", "250", "250"]),
        ],
        ids=["stranger", "logged in", "known by its address"],
    )
    def test_recipients_of_a_client(self, login, is_known, codes, monkeypatch):
        monkeypatch.setattr("postal_server.smtpd.clients.MINUTE", 1e9)

        class Knowing(MemoryHandler):
            def accept_recipient(self, session, address):
                if is_known:
                    session.principal = Principal("example/live", None)
                return super().accept_recipient(session, address)

        async def work():
            async with Running(Knowing(), proxy_protocol=True, max_recipients_per_client=1) as server:
                talk = await Talk.to(server.address)
                talk.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 25\r\n")
                await talk.reply()
                for line in ("EHLO c", login, "MAIL FROM:<ext@remote.example>"):
                    assert (await talk.say(line))[0] == "2"
                names = ("in", "in", "in" if is_known or login != "NOOP" else "nobody")
                assert [(await talk.say(f"RCPT TO:<{n}@example.test>"))[:3] for n in names] == codes
                talk.close()

        run(work())

    def test_failed_authentication(self):
        wrong = "AUTH PLAIN AHVzZXIAd3Jvbmc="

        async def test(talk, _):
            assert [(await talk.say(wrong))[:3] for _ in range(3)] == ["535", "535", "454"]

        talk(test, "EHLO c", login_limits=Limits(of_client=2))

    def test_a_peer_that_reads_no_replies_is_held_back(self):
        async def test(talk, server):
            talk.transport.pause_reading()
            talk.send(b"EHLO c\r\n" * 400_000)
            [connection] = server.server._connections
            while not connection._is_paused:
                await asyncio.sleep(0.01)
            assert len(connection._buffer) < 1_000_000
            talk.transport.resume_reading()
            assert (await talk.reply()).startswith("250-")

        talk(test, max_commands=10_000_000)


class TestTurns:
    """Who sends much at once is served a little at a time."""

    @pytest.mark.parametrize("loop", LOOPS)
    def test_a_client_with_one_command_does_not_wait_for_those_with_thousands(self, loop, monkeypatch):
        monkeypatch.setattr(connection_module, "TURN", 0)  # one command a turn
        done = []

        async def work():
            async with Running(max_commands=5000) as server:
                talks = [await server.talk("EHLO c") for _ in range(5)]
                ordinary = await server.talk("EHLO c")

                async def flood(talk):
                    talk.send(b"NOOP\r\n" * 1000)
                    assert [await talk.reply() for _ in range(1000)] == ["250 2.0.0 OK"] * 1000
                    done.append("flood")

                floods = [asyncio.ensure_future(flood(talk)) for talk in talks]
                await asyncio.sleep(0.01)
                for _ in range(3):
                    assert (await ordinary.say("NOOP")).startswith("250 ")
                    done.append("ordinary")
                await asyncio.gather(*floods)

        run(work(), loop)
        assert done == ["ordinary"] * 3 + ["flood"] * 5

    def test_a_connection_that_goes_while_it_waits_for_its_turn_is_let_go(self, monkeypatch):
        monkeypatch.setattr(connection_module, "TURN", 0)

        async def work():
            async with Running() as server:
                talk = await server.talk("EHLO c")
                talk.send(b"NOOP\r\n" * 500)
                await asyncio.sleep(0)
                talk.close()
                await asyncio.sleep(0.05)
                assert not server.server._connections

        run(work(), "asyncio")

    def test_what_is_sent_meanwhile_waits_in_order_and_within_bounds(self, monkeypatch):
        monkeypatch.setattr(connection_module, "TURN", 0)

        async def test(talk, server):
            talk.send(
                b"NOOP\r\n" * 300 + b"".join(f"{line}\r\n".encode() for line in TO_IN[1:]) + b"DATA\r\n"
            )
            await asyncio.sleep(0)
            talk.send(HELLO + b".\r\nQUIT\r\n")
            replies = [(await talk.reply())[:3] for _ in range(305)]
            assert replies == ["250"] * 302 + ["354", "250", "221"]

        assert len(talk(test, "EHLO c")) == 1


class TestHeader:
    """F1: what a header may be is judged while it comes."""

    @each(
        "header, code",
        [
            (b"A: %s\r\n" % (b"x" * 995), "250"),  # 1000 bytes
            (b"A: %s\r\n" % (b"x" * 996), "552"),
            (b"A:" + b"\r\n " * 400 + b"\r\n", "552"),
            (b"A: 1\n" * 10, "250"),
            (b"A: 1\n" * 11, "552"),
            (b"A: 1\r\n 2\r\n" * 10, "250"),
        ],
        ids=["bytes", "too many bytes", "too many folds", "fields", "too many fields", "folded fields"],
    )
    @each("body", [b"\r\nHello\r\n", b"\r\n" + b"x" * 5000 + b"\r\n"], ids=["short", "long"])
    @each("size", [7, 100_000], ids=["in pieces", "at once"])
    @each("by", ["DATA", "BDAT"])
    def test_a_header_may_be_so_large(self, header, code, body, size, by):
        message = header + body

        async def test(talk, _):
            if by == "DATA":
                assert (await talk.say("DATA")).startswith("354 ")
                sent, replies = message + b".\r\nNOOP\r\n", [code, "250"]
            else:
                sent = b"BDAT %d\r\n%sBDAT %d LAST\r\n%sNOOP\r\n" % (
                    *(len(message) - 3, message[:-3]),
                    *(3, message[-3:]),
                )
                is_seen = code == "552" and (len(header) > 1002 or len(message) > 1005)
                replies = ["552", "503", "250"] if is_seen else ["250", code, "250"]
            for start in range(0, len(sent), size):
                talk.send(sent[start : start + size])
                await asyncio.sleep(0)
            assert [(await talk.reply())[:3] for _ in replies] == replies

        accepted = talk(test, *TO_IN, max_header_bytes=1000, max_header_fields=10)
        assert [envelope.data for envelope in accepted] == ([message] if code == "250" else [])

    def test_a_header_that_is_too_large_is_not_kept(self):
        async def test(talk, server):
            for _ in range(50):
                talk.send(b"X: y\r\n" * 1000)
                await asyncio.sleep(0.001)
            [connection] = server.server._connections
            while connection._received_bytes < 50 * 6000:
                await asyncio.sleep(0.001)
            assert len(connection._buffer) < 10
            assert (await talk.say(".")) == "552 5.3.4 The message header is too large"

        assert talk(test, *TO_IN, "DATA", max_header_bytes=1000) == []

    def test_long_text_without_a_header_is_a_message(self):
        async def test(talk, _):
            talk.send(b"\r\n" + b"text\n" * 5000 + b"\r\n.\r\n")
            assert (await talk.reply()).startswith("250 ")

        assert len(talk(test, *TO_IN, "DATA", max_header_bytes=1000, max_header_fields=10)) == 1


class TestMemory:
    """F2: what has come of all messages is bounded, less before AUTH; see `engine.room`."""

    SIZE = 400_000
    LIMITS: ClassVar = {"max_unfinished_bytes": 3_000_000, "max_unfinished_bytes_before_auth": 1_000_000}
    LOGIN = "AUTH PLAIN AHgASzcwZ3kzZ0hRWmFGQjl2TWhpSGNibnBO"

    async def begin(self, server, *lines, size=SIZE):
        """Two clients in three send DATA, the third BDAT; none comes to an end."""
        others = set(server.server._connections)
        talk = await server.talk("EHLO c", *lines, *TO_IN[1:])
        [connection] = server.server._connections - others
        if len(server.talks) % 3:
            await talk.say("DATA")
            talk.send(HELLO + b"x" * size)
        else:
            talk.send(b"BDAT %d LAST\r\n" % (len(HELLO) + size + 1) + HELLO + b"x" * size)
        while connection._received_bytes < len(HELLO) + size:
            await asyncio.sleep(0.001)
        return talk

    async def end(self, talk, server):
        by_data = (server.talks.index(talk) + 1) % 3
        talk.send(b"\r\n.\r\n" if by_data else b"x")
        return (await talk.reply())[:9]

    def kept(self, server):
        readers = [c._transaction.reader for c in server.server._connections]
        kept = sum(reader.kept_bytes for reader in readers if reader)
        return kept + sum(len(c._buffer) for c in server.server._connections)

    @pytest.mark.parametrize("loop", LOOPS)
    def test_unfinished_messages_of_strangers_have_a_bound_in_all(self, loop):
        async def work():
            async with Running(**self.LIMITS) as server:
                talks = [await self.begin(server) for _ in range(9)]
                assert self.kept(server) < 1_000_000
                known = await self.begin(server, self.LOGIN)
                replies = [await self.end(talk, server) for talk in (*talks, known)]
                assert replies == ["250 2.0.0"] * 2 + ["452 4.3.1"] * 7 + ["250 2.0.0"]
                assert server.server.room.held == 0
                without_room = ("postal_smtp_server_messages_without_room_total", {"authenticated": "no"})
                assert server.counted.count(without_room) == 7
                talks[5].send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<in@example.test>\r\nDATA\r\n.\r\n")
                assert [(await talks[5].reply())[:3] for _ in range(4)] == ["250", "250", "354", "250"]

        run(work(), loop)

    def test_unfinished_messages_of_all_have_a_bound(self):
        async def work():
            async with Running(**self.LIMITS) as server:
                talks = [await self.begin(server, self.LOGIN) for _ in range(12)]
                assert self.kept(server) < 3_000_000
                assert [await self.end(talk, server) for talk in talks].count("452 4.3.1") == 5

        run(work())

    def test_the_largest_gives_way_to_an_ordinary_message(self):
        async def work():
            async with Running(**self.LIMITS) as server:
                talks = [await self.begin(server) for _ in range(2)]
                small = await self.begin(server, size=150_000)
                other = await self.begin(server, size=150_000)
                assert self.kept(server) < 800_000  # at once, whether or not the large one sends more
                assert [await self.end(talk, server) for talk in (small, other)] == ["250 2.0.0"] * 2
                replies = {await self.end(talk, server) for talk in talks}
                assert replies == {"250 2.0.0", "452 4.3.1"}

        run(work())

    def test_a_complete_message_that_waits_for_its_client_s_name_does_not_give_way(self):
        known = asyncio.Event()

        async def names(address: str) -> str:
            await known.wait()
            return "client.example"

        async def work():
            async with Running(**self.LIMITS, names=names) as server:
                complete = await self.begin(server, size=900_000)
                complete.send(b"\r\n.\r\n")
                await asyncio.sleep(0.02)
                other = await self.begin(server)
                known.set()
                assert (await complete.reply())[:9] == "250 2.0.0"
                [(_, envelope)] = server.handler.accepted
                assert len(envelope.recipients) == 1
                assert await self.end(other, server) == "452 4.3.1"

        run(work())

    def test_a_client_that_goes_makes_room(self):
        async def work():
            async with Running(**self.LIMITS) as server:
                for talk in [await self.begin(server) for _ in range(2)]:
                    talk.close()
                reset = await self.begin(server)
                assert await self.end(reset, server) == "250 2.0.0"
                await asyncio.sleep(0.02)
                assert server.server.room.held == 0

        run(work())

    def test_recipients_take_room_as_well(self):
        async def test(talk, server):
            line = f"RCPT TO:<in+{'x' * 230}@example.test>"
            replies = [await talk.say(line) for _ in range(120)]
            assert replies[0] == "250 2.0.0 OK"
            assert server.server.room.held > 0
            other = await server.talk(*TO_IN[:2])
            while (reply := await other.say(line)) == "250 2.0.0 OK":
                assert server.server.room.held < 200_000
            assert reply.startswith("452 4.3.1 ")
            assert (await other.say("DATA")).startswith("452 4.3.1 ")
            assert (await talk.say("DATA")).startswith("354 ")
            assert (await talk.say(".")).startswith("250 ")

        talk(test, *TO_IN[:2], max_unfinished_bytes=200_000, max_unfinished_bytes_before_auth=200_000)

    def test_a_message_without_content_is_refused_as_well(self):
        line = f"RCPT TO:<in+{'x' * 230}@example.test>"

        async def test(large, server):
            assert {(await large.say(line))[:3] for _ in range(205)} == {"250"}
            assert (await large.say("DATA")).startswith("354 ")
            small = await server.talk(*TO_IN[:2])
            assert {(await small.say(line))[:3] for _ in range(100)} == {"250"}
            assert (await large.say(".")).startswith("452 4.3.1 ")

        accepted = talk(
            test, *TO_IN[:2], max_unfinished_bytes=200_000, max_unfinished_bytes_before_auth=200_000
        )
        assert accepted == []


def test_a_header_is_looked_at_once_however_its_message_comes(monkeypatch):
    looks = []
    look = data_module.is_header_too_large
    monkeypatch.setattr(data_module, "is_header_too_large", lambda *given: looks.append(1) or look(*given))

    async def test(talk, server):
        assert (await talk.say("DATA")).startswith("354 ")
        talk.send(HELLO)
        for _ in range(20):
            talk.send(b"x" * 50_000 + b"\r\n")
            await asyncio.sleep(0.005)
        assert (await talk.say(".")).startswith("250 ")
        assert len(looks) == 1

    talk(test, *TO_IN)


class TestHttp:
    """F13: a page, or a server that is made to ask, may send commands in the body of a request."""

    SMUGGLED = b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<in@example.test>\r\nDATA\r\nevil\r\n.\r\n"

    @each(
        "line",
        [
            b"GET / HTTP/1.1",
            b"post / HTTP/1.1",
            b"PUT /x",
            b"CONNECT a:25 HTTP/1.1",
            b"FOO / HTTP/1.0",
            b"POST / HTTP/1.1\x01",
            b"POST /%s HTTP/1.1" % (b"x" * 5000),
            b"POST /%s HTTP/1.1" % (b"x" * 2030),
            b"PRI * HTTP/2.0",
            b"GET",
        ],
        ids=lambda line: line[:20].decode(),
    )
    @each("is_in_pieces", [False, True])
    def test_a_request_of_http_is_the_end(self, line, is_in_pieces):
        async def test(talk, server):
            sent = line + b"\r\nHost: x\r\n\r\n" + self.SMUGGLED
            for piece in [sent[:3000], sent[3000:]] if is_in_pieces else [sent]:
                talk.send(piece)
                await asyncio.sleep(0.005)
            assert (await talk.reply()) == "421 4.7.0 This is SMTP, not HTTP"
            assert (await talk.reply()) == "<closed>"
            errors = [labels for name, labels in server.counted if name.endswith("client_errors")]
            assert errors == [{"error": "http"}]

        assert talk(test) == []

    @each("line", ["GETTING", "POSTMASTER", "NOOP HTTP", "HTTP/1.1 x", "VRFY POST"])
    def test_what_only_looks_like_it_is_not(self, line):
        async def test(talk, _):
            assert (await talk.say(line))[:3] in ("250", "502")
            assert (await talk.say("NOOP")).startswith("250 ")

        talk(test)


class TestBackPressure:
    def test_mail_is_put_off_where_there_is_no_room(self):
        async def test(talk, server):
            server.handler.is_busy = True
            assert (await talk.say("MAIL FROM:<a@b>")).startswith("452 4.3.1 ")
            server.handler.is_busy = False
            assert (await talk.say("MAIL FROM:<a@b>")).startswith("250 ")

        talk(test, "EHLO c")

    @pytest.mark.parametrize(
        ("error", "reply"),
        [
            (errors.Busy("full"), "452 4.3.1 "),
            (errors.LoopDetected(), "550 5.4.6 "),
            (RuntimeError("disk on fire"), "451 4.3.0 "),
        ],
        ids=["busy", "refused", "bug"],
    )
    def test_a_message_that_is_not_stored_is_not_acknowledged(self, error, reply, caplog):
        async def test(talk, server):
            server.handler.fails_with = error
            talk.send(HELLO + b".\r\n")
            answer = await talk.reply()
            assert answer.startswith(reply)
            assert "fire" not in answer
            assert (await talk.say("MAIL FROM:<a@b>")).startswith("250 ")

        talk(test, *TO_IN, "DATA")
        assert ("disk on fire" in caplog.text) == isinstance(error, RuntimeError)


class TestStates:
    @each(
        "lines, expected",
        [
            (["MAIL FROM:<a@b>"], ["503"]),
            (["RSET", "MAIL FROM:<a@b>"], ["250", "250"]),
            (["EHLO c", "MAIL FROM:<a@b>", "MAIL FROM:<c@d>"], ["250", "250", "250"]),
            (
                ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<in@example.test>", "MAIL FROM:<c@d>"],
                ["250", "250", "250", "503"],
            ),
            (
                ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@other.example>", "MAIL FROM:<c@d>"],
                ["250", "250", "530", "250"],
            ),
            (
                ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<reject@example.test>", "MAIL FROM:<c@d>"],
                ["250", "250", "550", "503"],
            ),
            (
                ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<reject@example.test>", "DATA"],
                ["250", "250", "550", "554"],
            ),
            (
                ["EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<x@other.example>", "DATA"],
                ["250", "250", "530", "503"],
            ),
            (
                ["EHLO c", "MAIL FROM:<a@b>", "EHLO c", "RCPT TO:<in@example.test>"],
                ["250", "250", "250", "503"],
            ),
            (["EHLO c", "AUTH"], ["250", "504"]),
            (["EHLO c\x01"], ["500"]),
        ],
    )
    def test_replies(self, lines, expected):
        async def test(talk, _):
            assert [(await talk.say(line)).splitlines()[-1][:3] for line in lines] == expected

        talk(test)

    def test_a_message_goes_to_the_recipients_that_were_taken(self):
        async def test(talk, _):
            await talk.say("RCPT TO:<reject@example.test>")
            await talk.say("RCPT TO:<accept@example.test>")
            await talk.say("DATA")
            await talk.say(".")

        [envelope] = talk(test, *TO_IN)
        assert [r.address for r in envelope.recipients] == ["in@example.test", "accept@example.test"]


class TestLog:
    @pytest.mark.parametrize(("is_logged", "lines"), [(True, 1), (False, 0)])
    def test_connections_are_logged_where_that_is_asked_for(self, is_logged, lines, caplog):
        async def test(talk, _):
            talk.send(b"QUIT\r\n")

        with caplog.at_level(logging.INFO, "postal_server.smtpd.protocol"):
            talk(test, logs_client=lambda address: is_logged and address == "127.0.0.1")
        logged = [record for record in caplog.messages if "connection from 127.0.0.1" in record]
        assert len(logged) == lines


class TestTime:
    @pytest.fixture(autouse=True)
    def look_often(self, monkeypatch):
        monkeypatch.setattr(server_module, "CHECK_INTERVAL", 0.02)

    @each("lines", [[], ["EHLO c"], list(TO_IN), [*TO_IN, "DATA"]], ids=["banner", "EHLO", "RCPT", "DATA"])
    def test_an_idle_peer_is_cut_off(self, lines):
        async def test(talk, _):
            assert (await talk.reply()).startswith("421 4.4.2 ")
            assert await talk.reply() == "<closed>"

        talk(test, *lines, command_timeout=timedelta(seconds=0.1), data_timeout=timedelta(seconds=0.1))

    @pytest.mark.parametrize("lines", [["EHLO c"], [*TO_IN, "DATA"]], ids=["command", "data"])
    def test_a_slow_sender_is_cut_off_although_it_never_pauses(self, lines):
        async def test(talk, _):
            loop = asyncio.get_running_loop()
            began = loop.time()
            while not talk.transport.is_closing():
                assert loop.time() - began < 5
                talk.send(b"x")
                await asyncio.sleep(0.01)
            assert (await talk.reply()).startswith("421 4.4.2 ")

        talk(test, *lines, command_timeout=timedelta(seconds=0.2), data_timeout=timedelta(seconds=0.2))

    def test_a_steady_sender_may_take_longer_than_the_time_out(self):
        async def test(talk, _):
            for _ in range(20):
                talk.send(b"x" * 500 + b"\r\n")
                await asyncio.sleep(0.02)
            assert (await talk.say(".")).startswith("250 ")

        assert talk(test, *TO_IN, "DATA", data_timeout=timedelta(seconds=0.2), min_data_rate=1000)

    @pytest.mark.parametrize("by", ["DATA", "BDAT"])
    def test_what_came_quickly_buys_no_time_for_what_comes_slowly(self, by):
        async def test(talk, _):
            loop = asyncio.get_running_loop()
            talk.send(b"DATA\r\n" if by == "DATA" else b"BDAT 2000000 LAST\r\n")
            talk.send(HELLO + b"x" * 1_000_000)  # a quarter of an hour at the least rate
            began = loop.time()
            while not talk.transport.is_closing():
                assert loop.time() - began < 5
                talk.send(b"x")
                await asyncio.sleep(0.02)
            assert loop.time() - began > 0.2

        talk(test, *TO_IN, data_timeout=timedelta(seconds=0.2))

    @pytest.mark.parametrize("line", [b"NOOP\r\n", b"BDAT 1\r\nx"], ids=["NOOP", "BDAT"])
    def test_commands_between_chunks_buy_no_time(self, line):
        async def test(talk, _):
            loop = asyncio.get_running_loop()
            talk.send(b"BDAT 100000\r\n" + b"x" * 100_000)
            began = loop.time()
            while not talk.transport.is_closing():
                assert loop.time() - began < 5
                talk.send(line)
                await asyncio.sleep(0.02)

        talk(test, *TO_IN, data_timeout=timedelta(seconds=0.2), command_timeout=timedelta(seconds=0.2))

    def test_a_message_being_stored_has_time(self):
        async def test(talk, server):
            server.handler.may_finish = asyncio.Event()
            talk.send(b".\r\n")
            await asyncio.sleep(0.3)
            server.handler.may_finish.set()
            assert (await talk.reply()).startswith("250 ")

        talk(test, *TO_IN, "DATA", command_timeout=timedelta(seconds=0.1))


class TestStopping:
    def test_idle_sessions_hear_421_and_messages_under_way_are_answered(self):
        async def work():
            async with Running() as server:
                idle, sending, storing = [await server.talk(*TO_IN) for _ in range(3)]
                await sending.say("DATA")
                await storing.say("DATA")
                server.handler.may_finish = asyncio.Event()
                storing.send(b".\r\n")
                await asyncio.sleep(0.02)
                stopping = asyncio.ensure_future(server.server.stop())
                assert (await idle.reply()).startswith("421 4.3.2 ")
                sending.send(HELLO + b".\r\n")
                server.handler.may_finish.set()
                for talk in (sending, storing):
                    assert (await talk.reply()).startswith("250 ")
                    assert (await talk.reply()).startswith("421 ")
                await stopping
                with pytest.raises(ConnectionRefusedError):
                    await Talk.to(server.address)

        run(work())

    def test_no_client_is_waited_for_longer_than_configured(self):
        async def work():
            async with Running() as server:
                talk = await server.talk(*TO_IN, "DATA")
                await server.server.stop(timedelta(seconds=0.1))
                assert server.server.connections == 0
                assert await talk.reply() == "<closed>"

        run(work())


class TestProxyProtocol:
    def test_the_client_is_whom_the_proxy_names(self):
        async def work():
            async with Running(proxy_protocol=True) as server:
                talk = await Talk.to(server.address)
                talk.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 25\r\nEHLO c\r\n")
                assert (await talk.reply()).startswith("220 ")
                assert (await talk.reply()).startswith("250-")
                [connection] = server.server._connections
                assert connection.session.client_address == "192.0.2.7"
                talk.close()

        run(work())

    @pytest.mark.parametrize(
        "line", [b"PROXY UNKNOWN\r\n", b"EHLO c\r\n", b"x" * 200], ids=["unknown", "EHLO", "long"]
    )
    def test_anything_else_is_refused_and_closed(self, line):
        async def work():
            async with Running(proxy_protocol=True) as server:
                talk = await Talk.to(server.address)
                talk.send(line)
                assert (await talk.reply()) == "502 5.5.1 Proxy Error"
                assert await talk.reply() == "<closed>"

        run(work())


class TestListeners:
    def test_implicit_tls_needs_a_certificate(self):
        server = SmtpServer(MemoryHandler(), Options(HOSTNAME))
        with pytest.raises(ConfigurationError, match="implicit_tls_port"):
            run(server.start([ListenAddress("127.0.0.1", 0, implicit_tls=True)]))

    def test_a_port_in_use_is_named(self):
        async def work():
            async with Running() as server:
                other = SmtpServer(MemoryHandler(), Options(HOSTNAME))
                with pytest.raises(OSError, match=f"127.0.0.1:{server.address[1]}"):
                    await other.start([ListenAddress(*server.address)])

        run(work())

    def test_every_address_takes_ipv4_too(self):
        async def work():
            server = SmtpServer(MemoryHandler(), Options(HOSTNAME))
            [(_, port)] = await server.start([ListenAddress("::", 0)])
            talk = await Talk.to(("127.0.0.1", port))
            assert (await talk.reply()).startswith("220 ")
            [connection] = server._connections
            assert connection.session.client_address == "127.0.0.1"
            talk.close()
            await server.stop()

        run(work())


def test_the_client_s_name_is_looked_up_before_the_message_is_handed_over():
    async def names(address: str) -> str:
        await asyncio.sleep(0.05)
        return f"host-of-{address}"

    async def work():
        async with Running(names=names) as server:
            talk = await server.talk()
            talk.send("".join(f"{line}\r\n" for line in (*TO_IN, "DATA", ".")).encode())
            assert (await talk.reply()).startswith("250-")
            assert [(await talk.reply())[:3] for _ in range(4)] == ["250", "250", "354", "250"]
            [(session, _)] = server.handler.accepted
            assert session.client_name == "host-of-127.0.0.1"

    run(work())


def test_a_message_is_not_taken_whose_client_leaves_while_its_name_is_looked_up():
    known = asyncio.Event()

    async def names(address: str) -> str:
        await known.wait()
        return "client.example"

    async def work():
        async with Running(names=names) as server:
            talk = await server.talk(*TO_IN, "DATA")
            talk.send(b".\r\n")
            await asyncio.sleep(0.02)
            talk.close()
            await asyncio.sleep(0.02)
            known.set()
            await asyncio.sleep(0.02)
            assert server.handler.accepted == []

    run(work())


def test_a_name_that_does_not_come_holds_up_no_message(monkeypatch):
    monkeypatch.setattr(protocol, "NAME_TIMEOUT", 0.05)

    async def names(address: str) -> str:
        await asyncio.sleep(60)
        return "too late"

    async def work():
        async with Running(names=names) as server:
            talk = await server.talk(*TO_IN, "DATA")
            assert (await talk.say(".")).startswith("250 ")
            [(session, _)] = server.handler.accepted
            assert session.client_name is None

    run(work())


def test_what_happens_is_counted_under_postal_s_names():
    async def work():
        async with Running() as server:
            talk = await server.talk(*TO_IN, "DATA")
            await talk.say(".")
            await talk.say("FOO")
            await talk.say("AUTH LOGIN")
            return [(name.removeprefix("postal_smtp_server_"), labels) for name, labels in server.counted]

    assert run(work()) == [
        ("connections_total", {}),
        ("commands_total", {"command": "EHLO"}),
        ("messages_total", {"type": "incoming", "tls": "no"}),
        ("client_errors", {"error": "invalid-command"}),
        ("commands_total", {"command": "AUTH LOGIN"}),
    ]
