from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.engine.ports import Reply, Stage
from postal_server.errors import HostileInput
from postal_server.services.shared.work import Dsn
from postal_server.transports.smtp.protocol import (
    MAX_LINE_BYTES,
    Conclusion,
    Extensions,
    Interrupted,
    ReplyReader,
    compose_mail,
    compose_rcpt,
    find_refusal,
    transaction,
)
from tests.each import each
from tests.fakes import mail

PIPELINING = Extensions({"PIPELINING": ""})
OK, GO = Reply(250, "ok"), Reply(354, "go")


class TestReplyReader:
    def test_a_reply_in_pieces_is_one_reply(self):
        reader = ReplyReader()
        assert reader.feed(b"250-one\r\n25") == []
        assert reader.has_partial_reply
        assert reader.feed(b"0 two\r\n") == [Reply(250, "one\ntwo")]
        assert not reader.has_partial_reply

    def test_several_replies_in_one_piece(self):
        found = ReplyReader().feed(b"250 2.1.0 a\r\n550 5.1.1 b\r\n354 c\r\n")
        assert [(r.code, r.enhanced, r.text) for r in found] == [
            (250, "2.1.0", "a"),
            (550, "5.1.1", "b"),
            (354, None, "c"),
        ]

    @each("garbage", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 400\r\n", b"\r\n", b"\xff\xfe\n"])
    def test_garbage_is_a_reply_that_is_not_understood(self, garbage):
        [reply] = ReplyReader().feed(garbage)
        assert not reply.is_understood

    @pytest.mark.parametrize(
        "flood", [b"2" * (MAX_LINE_BYTES + 1), b"250 " + b"x" * MAX_LINE_BYTES + b"\n", b"250-x\r\n" * 300]
    )
    def test_a_flood_is_refused(self, flood):
        with pytest.raises(HostileInput):
            ReplyReader().feed(flood)

    @given(st.lists(st.binary(max_size=60), max_size=20))
    def test_any_bytes_give_replies_or_one_exception(self, pieces):
        reader = ReplyReader()
        try:
            for piece in pieces:
                for reply in reader.feed(piece):
                    assert 0 <= reply.code <= 999
        except HostileInput:
            pass

    @given(st.binary(max_size=400), st.integers(1, 50))
    def test_how_it_is_cut_does_not_matter(self, data, size):
        whole, cut = ReplyReader(), ReplyReader()
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        assert whole.feed(data) == [reply for piece in pieces for reply in cut.feed(piece)]


class TestOffers:
    def test_keywords_and_their_parameters(self):
        offers = Extensions.parse(
            Reply(250, "host.example hello\nSIZE 1000\nauth PLAIN LOGIN\nAUTH=LOGIN\n8BITMIME")
        )
        assert offers.max_bytes == 1000
        assert offers.mechanisms == ["PLAIN", "LOGIN", "LOGIN"]
        assert "8BITMIME" in offers
        assert "HOST.EXAMPLE" not in offers

    @each("size", ["", "0", "many", "9" * 30])
    def test_a_size_that_says_nothing_is_no_limit(self, size):
        assert Extensions({"SIZE": size}).max_bytes is None


def steps(dialogue, *answers):
    """The bytes of each step, given the replies to each; and the conclusion."""
    sent, step = [], next(dialogue)
    for replies in answers:
        sent.append(b"".join(step.chunks))
        try:
            step = dialogue.send(list(replies))
        except StopIteration as done:
            return sent, done.value
    raise AssertionError(f"more to say: {step}")


class TestTransaction:
    def test_with_pipelining_the_commands_go_out_together_and_data_waits_for_the_recipient(self):
        sent, conclusion = steps(transaction(mail(), PIPELINING), [OK, OK], [GO], [OK])
        assert sent == [
            b"MAIL FROM:<bounce@rp.example>\r\nRCPT TO:<ann@dest.example>\r\n",
            b"DATA\r\n",
            b"Subject: x\r\n\r\nHello\r\n.\r\n",
        ]
        assert (conclusion.stage, conclusion.reply, conclusion.needs_reset) == (Stage.DOT, OK, False)

    def test_without_it_each_waits_for_the_one_before(self):
        sent, _ = steps(transaction(mail(reverse_path=None), Extensions()), [OK], [OK], [GO], [OK])
        assert sent[:3] == [b"MAIL FROM:<>\r\n", b"RCPT TO:<ann@dest.example>\r\n", b"DATA\r\n"]

    def test_reset_comes_first_where_the_last_mail_was_refused(self):
        sent, _ = steps(transaction(mail(), PIPELINING, needs_reset=True), [OK, OK, OK], [GO], [OK])
        assert sent[0].startswith(b"RSET\r\nMAIL FROM:")

    @pytest.mark.parametrize("offers", [Extensions(), PIPELINING], ids=["plain", "pipelined"])
    def test_a_refused_recipient_decides(self, offers):
        no = Reply(550, "no", "5.1.1")
        answers = [[OK, no]] if "PIPELINING" in offers else [[OK], [no]]
        _, conclusion = steps(transaction(mail(), offers), *answers)
        assert (conclusion.stage, conclusion.reply, conclusion.needs_reset) == (Stage.RCPT, no, True)

    def test_a_positive_answer_to_data_that_is_no_go_ahead_is_a_refusal(self):
        _, conclusion = steps(transaction(mail(), Extensions()), [OK], [OK], [OK])
        assert (conclusion.stage, conclusion.reply) == (Stage.DATA, OK)

    @pytest.mark.parametrize(
        ("replies", "stage"), [([], Stage.MAIL), ([OK], Stage.RCPT)], ids=["after EHLO", "after MAIL"]
    )
    def test_a_connection_that_ends_in_between_names_the_stage(self, replies, stage):
        dialogue = transaction(mail(), PIPELINING)
        next(dialogue)
        with pytest.raises(Interrupted) as error:
            dialogue.send(replies)
        assert error.value.stage is stage

    def test_a_refusal_before_the_connection_ended_still_decides(self):
        dialogue = transaction(mail(), PIPELINING)
        next(dialogue)
        with pytest.raises(StopIteration) as done:
            dialogue.send([Reply(421, "closing")])
        assert done.value.value.reply.code == 421

    @each(
        "stage, reply, is_last",
        [
            (Stage.RCPT, Reply(421, "closing"), True),
            (Stage.DOT, Reply(421, "closing"), True),
            (Stage.RCPT, Reply(550, "no"), False),
            (Stage.DOT, Reply(451, "later"), False),
            (Stage.RSET, Reply(502, "what?"), True),
            (Stage.DATA, OK, True),
            (Stage.DOT, GO, True),
            (Stage.DOT, OK, False),
        ],
    )
    def test_which_answers_are_the_last_of_a_connection(self, stage, reply, is_last):
        assert Conclusion(stage, reply).is_last is is_last


class TestMailCommand:
    @each(
        "offers, values, command",
        [
            (Extensions(), {}, b"MAIL FROM:<bounce@rp.example>\r\n"),
            (
                Extensions({"SIZE": "99999"}),
                {"data": b"x" * 50},
                b"MAIL FROM:<bounce@rp.example> SIZE=50\r\n",
            ),
            (
                Extensions({"8BITMIME": ""}),
                {"data": "ä".encode()},
                b"MAIL FROM:<bounce@rp.example> BODY=8BITMIME\r\n",
            ),
            (Extensions({"8BITMIME": ""}), {}, b"MAIL FROM:<bounce@rp.example>\r\n"),
            (
                Extensions({"SMTPUTF8": ""}),
                {"recipient": "jürgen@dest.example"},
                b"MAIL FROM:<bounce@rp.example> SMTPUTF8\r\n",
            ),
            (
                Extensions({"SMTPUTF8": ""}),
                {"recipient": "a@bücher.example"},
                b"MAIL FROM:<bounce@rp.example>\r\n",
            ),
            (
                Extensions({"SMTPUTF8": "", "8BITMIME": ""}),
                {"data": "Subject: ä\r\n\r\n".encode()},
                b"MAIL FROM:<bounce@rp.example> BODY=8BITMIME SMTPUTF8\r\n",
            ),
            (
                Extensions({"SMTPUTF8": "", "8BITMIME": ""}),
                {"data": "Subject: x\r\n\r\nä".encode()},
                b"MAIL FROM:<bounce@rp.example> BODY=8BITMIME\r\n",
            ),
            (
                Extensions({"8BITMIME": ""}),
                {"data": "Subject: ä\r\n\r\n".encode()},
                b"MAIL FROM:<bounce@rp.example> BODY=8BITMIME\r\n",
            ),
        ],
        ids=[
            "nothing",
            "size",
            "8-bit",
            "7-bit",
            "local part",
            "domain",
            "8-bit header",
            "8-bit body",
            "8-bit header, not offered",
        ],
    )
    def test_parameters_are_those_needed_and_offered(self, offers, values, command):
        assert compose_mail(mail(**values), offers) == command

    def test_a_domain_is_written_in_ascii(self):
        sent, _ = steps(transaction(mail("a@bücher.example"), Extensions()), [OK], [OK], [GO], [OK])
        assert sent[1] == b"RCPT TO:<a@xn--bcher-kva.example>\r\n"

    @each("local", ['"a@b"', '"john..doe"', r'"a\"b"', '"a b"', '"a>b<c"', "john..doe"])
    def test_a_quoted_local_part_goes_to_its_own_domain(self, local):
        sent, _ = steps(transaction(mail(f"{local}@b.example"), Extensions()), [OK], [OK], [GO], [OK])
        assert sent[1] == f"RCPT TO:<{local}@b.example>\r\n".encode()


class TestReports:
    WANTED = Dsn("FAILURE,DELAY", "mymprbgt4nmqeq7e", "ann@dest.example")
    OFFERED = Extensions({"PIPELINING": "", "SIZE": "99", "DSN": ""})

    def commands(self, extensions, **values):
        sent, _ = steps(transaction(mail(**values), extensions), [OK, OK], [GO], [OK])
        return sent[0].decode().split("\r\n")[:-1]

    def test_a_host_with_dsn_is_asked_for_reports_in_the_same_round_trip(self):
        assert self.commands(self.OFFERED, dsn=self.WANTED) == [
            "MAIL FROM:<bounce@rp.example> SIZE=21 RET=HDRS ENVID=mymprbgt4nmqeq7e",
            "RCPT TO:<ann@dest.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;ann@dest.example",
        ]

    @pytest.mark.parametrize(
        ("extensions", "dsn"), [(PIPELINING, WANTED), (OFFERED, None)], ids=["not offered", "not wanted"]
    )
    def test_otherwise_the_commands_are_bare(self, extensions, dsn):
        sender, recipient = self.commands(extensions, dsn=dsn)
        assert sender.removesuffix(" SIZE=21") == "MAIL FROM:<bounce@rp.example>"
        assert recipient == "RCPT TO:<ann@dest.example>"

    def test_no_reports_about_reports(self):
        assert self.commands(self.OFFERED, reverse_path=None, dsn=Dsn("NEVER")) == [
            "MAIL FROM:<> SIZE=21",
            "RCPT TO:<ann@dest.example> NOTIFY=NEVER",
        ]

    @each(
        "address, parameter",
        [
            ("ann+a@dest.example", " ORCPT=rfc822;ann+2Ba@dest.example"),
            ("ann@bücher.example", " ORCPT=rfc822;ann@xn--bcher-kva.example"),
            ("jürgen@dest.example", r" ORCPT=utf-8;j\x{FC}rgen@dest.example"),
            (f'"{" " * 164}"@dest.example', ""),
        ],
        ids=["a tag", "a domain", "a local part", "longer than 500 characters"],
    )
    def test_the_recipient_is_the_one_that_the_mail_was_accepted_for(self, address, parameter):
        dsn = replace(self.WANTED, notify="FAILURE", original_recipient=address)
        assert compose_rcpt(mail(dsn=dsn), self.OFFERED).decode() == (
            f"RCPT TO:<ann@dest.example> NOTIFY=FAILURE{parameter}\r\n"
        )


class TestUnacceptable:
    @each(
        "values, enhanced",
        [
            ({"recipient": "jürgen@dest.example"}, "5.6.7"),
            ({"recipient": "foo"}, "5.1.3"),
            ({"recipient": "a@b@c.example"}, "5.1.3"),
            ({"recipient": "a@b.example>\r\nRCPT TO:<x@y.example"}, "5.1.3"),
            ({"reverse_path": "a@b.example> X\r\nDATA"}, "5.1.3"),
            ({"data": b"x" * 101}, "5.3.4"),
        ],
        ids=[
            "no SMTPUTF8",
            "no domain",
            "two domains",
            "smuggled command",
            "smuggled reverse path",
            "too large",
        ],
    )
    def test_what_the_host_cannot_be_given_is_refused_by_ourselves(self, values, enhanced):
        offers = Extensions({"SIZE": "100"})
        refusal = find_refusal(mail(**values), offers)
        assert refusal is not None
        assert refusal.enhanced == enhanced
        dialogue = transaction(mail(**values), offers)
        with pytest.raises(StopIteration) as done:
            next(dialogue)
        assert done.value.value.reply == refusal

    def test_a_message_of_just_the_size_that_the_host_takes_is_sent(self):
        offers = Extensions({"SIZE": "100"})
        assert find_refusal(mail(data=b"x" * 100), offers) is None


class TestContent:
    @each("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n"], ids=repr)
    def test_cve_2023_51764_no_end_of_data_is_smuggled_out(self, end):
        letter = mail(data=b"a" + end + b"MAIL FROM:<x@y.example>\r\n")
        sent, _ = steps(transaction(letter, PIPELINING), [OK, OK], [GO], [OK])
        lines = sent[2].split(b"\r\n")
        assert b"\r" not in b"".join(lines)
        assert b"\n" not in b"".join(lines)
        assert lines.index(b".") == len(lines) - 2

    @given(st.binary(max_size=300).map(lambda b: b.translate(bytes([b"ab.\r\n"[i % 5] for i in range(256)]))))
    def test_whatever_is_sent_has_one_end(self, data):
        sent, _ = steps(transaction(mail(data=data), PIPELINING), [OK, OK], [GO], [OK])
        assert sent[2].count(b"\n") == sent[2].count(b"\r") == sent[2].count(b"\r\n")
        assert (b"\r\n" + sent[2]).find(b"\r\n.\r\n") == len(sent[2]) - 3
