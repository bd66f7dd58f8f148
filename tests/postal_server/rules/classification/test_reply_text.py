import pytest

from postal_server.rules.classification.reply_text import clean
from postal_server.rules.failure_class import Stage
from tests.each import each


def cleaned(text, *, code=None, enhanced=None, stage=Stage.RCPT, recipient=""):
    return clean(text, code=code, enhanced=enhanced, stage=stage, recipient=recipient)


@each(
    "text, shown",
    [
        ("550 5.1.1 User unknown", "550 5.1.1 user unknown"),
        (
            "550-5.1.1 The account\n550-5.1.1 does not\n550 5.1.1 exist",
            "550 5.1.1 the account does not exist",
        ),
        ("550-5.1.1 The account 550 5.1.1 is gone", "550 5.1.1 the account is gone"),
        ("550-no\r\n550\tsuch   user", "550 no such user"),
        ("550 #5.1.1 no", "550 5.1.1 no"),
        ("550 <spam-reports@d.example>: No such user", "550 <address>: no such user"),
        ("550 a@d.example... unknown", "550 <address> unknown"),
        ("550 see http://spam.example/?p=blocked for more", "550 see <url> for more"),
        ("550 see https://www.spamhaus.org/query/ip/192.0.2.1", "550 see <url:blocklist>"),
        ("550 www.barracudacentral.org/lookups", "550 <url:blocklist>"),
        ("no code at all", "no code at all"),
        ("", ""),
    ],
)
def test_codes_stand_once_at_the_start_and_marks_for_addresses(text, shown):
    assert cleaned(text).text == shown


def test_given_codes_are_put_before_the_text():
    reply = cleaned("No such user", code=550, enhanced="5.1.1")
    assert (reply.text, reply.code, reply.enhanced) == ("550 5.1.1 no such user", 550, ("5", "1", "1"))


def test_an_enhanced_code_is_found_behind_the_text():
    assert cleaned("550 sorry, no mailbox here (#5.1.1)").enhanced == ("5", "1", "1")


def test_an_ip_address_is_no_enhanced_code():
    assert cleaned("550 from 5.1.1.9 we take nothing").enhanced is None


@pytest.mark.parametrize("text", ['550 "spamtrap" no', "550 <SpamTrap> no", "550 spamtrap... no"])
def test_the_local_part_of_the_recipient_is_no_evidence(text):
    assert "spamtrap" not in cleaned(text, recipient="spamtrap@d.example").text


def test_a_short_local_part_is_left_alone():
    assert cleaned("550 (no) mailbox", recipient="no@d.example").text == "550 (no) mailbox"


@each(
    "text, stage, shown",
    [
        ("smtp; 550 5.1.1 No", Stage.REPORT, "550 5.1.1 no"),
        (
            "X-Postfix; host spam.example said: 550 No (in reply to RCPT TO command)",
            Stage.RCPT,
            "550 no",
        ),
        ("host x said: 554 No (in reply to end of DATA command)", Stage.DOT, "554 no"),
        ("host x said: 554 No (in reply to MAIL FROM command)", Stage.MAIL, "554 no"),
        ("host x said: 554 No (in reply to EHLO command)", Stage.CONNECT, "554 no"),
        (
            "SMTP error from remote mail server after RCPT TO:<a@b.example>: host x: 550 no",
            Stage.RCPT,
            "550 no",
        ),
        ("192.0.2.1 does not like recipient.\nRemote host said: 550 no", Stage.RCPT, "550 no"),
        ("X-Unix; user over quota", Stage.REPORT, "user over quota"),
    ],
)
def test_a_report_says_at_which_stage_it_was_answered(text, stage, shown):
    reply = cleaned(text, stage=Stage.REPORT)
    assert (reply.stage, reply.text) == (stage, shown)


@pytest.mark.parametrize(
    ("status", "text", "enhanced", "beside"),
    [
        ("5.0.0", "smtp; 550 5.1.1 no", ("5", "1", "1"), None),
        ("5.1.1", "smtp; 550 spam", None, ("5", "1", "1")),
        ("5.1.1", "", ("5", "1", "1"), None),
    ],
)
def test_the_status_of_a_report_yields_to_its_reply(status, text, enhanced, beside):
    reply = cleaned(text, enhanced=status, stage=Stage.REPORT)
    assert (reply.enhanced, reply.status) == (enhanced, beside)


@each("text, is_transient", [("450 5.1.1 x", True), ("550 x", False), ("4.2.2 full", True), ("x", False)])
def test_a_transient_answer_is_known_by_its_code(text, is_transient):
    assert cleaned(text).is_transient is is_transient


def test_a_text_without_end_is_cut():
    assert len(cleaned("550 " + "word " * 100_000).text) == 800
