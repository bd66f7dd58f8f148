"""The steps of the classifier, and what each may not do. The rows have tests of their own."""

import time
from dataclasses import replace

import pytest

from postal_server.rules.classification import MAX_RULE, Answer, Ours, classify
from postal_server.rules.classification.own_rules import parse_own_rules
from postal_server.rules.failure_class import About, FailureClass, Stage
from tests.each import each

OURS = Ours(frozenset(["192.0.2.1", "2001:db8::1"]), frozenset(["out.example.test", "example.test"]))
NO_USER = "550 5.1.1 <a@d.example>: Recipient address rejected: User unknown"


def found(text, stage=Stage.RCPT, ours=OURS, **values):
    return classify(Answer(None, None, text, stage, **values), ours)


def name(text, stage=Stage.RCPT, **values):
    return found(text, stage, **values).name.value


class TestStage:
    @each("stage", [Stage.CONNECT, Stage.MAIL])
    @each("text", [NO_USER, "550 5.1.1 x", "552 5.2.2 mailbox full", "550 no", "553 x", "550 5.2.1 disabled"])
    def test_before_rcpt_nothing_is_about_the_recipient(self, stage, text):
        assert found(text, stage).name.about is not About.RECIPIENT

    @each("text", ["554 no", "550 no", "552 no", "550 zzz"])
    def test_a_bare_code_after_the_data_is_the_receivers_policy(self, text):
        assert name(text, Stage.DOT) == "policy"

    def test_words_about_the_recipient_count_after_the_data(self):
        assert name("550 User unknown", Stage.DOT) == "bad_address"

    @each(
        "text, wanted",
        [
            ("550 zzz", "bad_address"),
            ("551 x", "bad_address"),
            ("553 x", "bad_address"),
            ("552 x", "mailbox_full"),
        ],
    )
    def test_a_bare_code_at_rcpt_is_about_the_recipient_and_not_sure(self, text, wanted):
        assert (found(text).name.value, found(text).is_sure) == (wanted, False)

    def test_a_bare_code_in_a_report_that_names_no_stage_says_nothing(self):
        assert name("smtp; 550 zzz", Stage.REPORT) == "unknown"


class TestUs:
    @each(
        "text",
        [
            "550 5.1.1 192.0.2.1 is refused",
            "550 5.1.1 [192.0.2.1]: blocked",
            "550 521< 192.0.2.1 >_is_blocked",
            "550 mail from IPv6:2001:DB8:0:0:0:0:0:1 is not accepted",
            "550 5.2.1 out.example.test is denied",
        ],
    )
    def test_a_refusal_that_names_what_is_ours_is_reputation_whatever_its_code(self, text):
        assert name(text) == "reputation"

    @pytest.mark.parametrize(
        "text",
        [
            "550 5.1.1 192.0.2.10 is refused",
            "550 5.1.1 no such recipient here (192.0.2.1)",
            "550 5.1.1 <a@example.test> refused",
        ],
    )
    def test_others_addresses_addresses_of_mail_and_mere_mentions_are_not(self, text):
        assert name(text) == "bad_address"

    def test_the_recipients_own_domain_is_not_ours(self):
        text = "550 5.1.1 example.test has refused this"
        assert name(text, recipient="a@example.test") == "bad_address"
        assert name(text, recipient="a@d.example") == "reputation"

    def test_a_rule_that_says_more_about_us_counts(self):
        text = "550 5.7.1 example.test failed our check, 192.0.2.1 rejected"
        assert name(text) == "reputation"
        ours = replace(OURS, rules=parse_own_rules(['authentication "failed our check"']))
        assert found(text, ours=ours).name is FailureClass.AUTHENTICATION
        ours = replace(OURS, rules=parse_own_rules(['bad_address "failed our check"']))
        assert found(text, ours=ours).name is FailureClass.REPUTATION


class TestWords:
    def test_of_several_lines_all_are_read(self):
        lines = "550-5.1.1 The account does\n550-5.1.1 not\n550 5.1.1 exist"
        assert (name(lines), name(lines.replace("\n", " "))) == ("bad_address", "bad_address")

    def test_words_of_the_recipients_address_are_no_evidence(self):
        assert name("550 <spam-reports@d.example>: User unknown") == "bad_address"
        assert name("550 5.1.1 <dnsbl-blocked-using@d.example> no") == "bad_address"

    def test_a_deferral_is_never_sure(self):
        assert found(NO_USER).is_sure
        assert not found(NO_USER.replace("5", "4")).is_sure

    def test_what_nobody_knows_is_unknown(self):
        result = found("xyz", Stage.REPORT)
        assert (result.name, result.is_sure, result.rule) == (FailureClass.UNKNOWN, False, "")


class TestCodes:
    def test_a_code_with_one_meaning_says_more_than_words_with_many(self):
        assert name("550 5.7.515 Access denied, sorry") == "authentication"
        assert name("550 5.1.1 rejected") == "bad_address"

    def test_words_with_one_meaning_say_more_than_the_code(self):
        assert name("550 5.1.1 blocked using bl.example") == "reputation"
        assert name("550 5.7.1 user unknown") == "bad_address"


class TestReports:
    def test_a_report_is_judged_as_the_answer_that_it_quotes(self):
        for text in (NO_USER, "554 5.7.1 Client host blocked using bl.example", "552 5.2.2 over quota"):
            quoted = f"smtp; host mx.d.example[192.0.2.7] said: {text} (in reply to RCPT TO command)"
            assert (found(quoted, Stage.REPORT).name, found(quoted, Stage.REPORT).stage) == (
                found(text).name,
                Stage.RCPT,
            )

    def test_a_status_that_follows_from_the_code_is_not_sure(self):
        answer = Answer(None, "5.1.1", "smtp; 550 zzz", Stage.REPORT)
        assert (classify(answer, OURS).name, classify(answer, OURS).is_sure) == (
            FailureClass.BAD_ADDRESS,
            False,
        )

    def test_a_status_without_a_reply_counts(self):
        answer = Answer(None, "5.1.1", "", Stage.REPORT)
        assert (classify(answer, OURS).name, classify(answer, OURS).is_sure) == (
            FailureClass.BAD_ADDRESS,
            True,
        )


HOSTILE = (
    "a" * 100_000, "a@" * 50_000, "550 " * 25_000, "5.1.1 " * 20_000, "550-5.1.1 " * 9_000, "<" * 100_000,
    "http://" * 15_000, "www." * 25_000, "1.1.1.1.1" * 9_000, ":" * 100_000, "(in reply to " * 9_000,
    "user " * 20_000, "mailbox " * 12_000, "not " * 25_000, "recipient address rejected: " * 3_000,
    "\udcff\0" * 50_000, " " * 100_000, "a:a" * 30_000, "smtp;" * 20_000, "x-" * 50_000,
)  # fmt: skip


@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.REPORT])
def test_hostile_texts_take_no_longer_than_others(stage):
    found("550 5.1.1 No such user", stage)  # the first one compiles the rules
    for text in HOSTILE:
        began = time.process_time()
        for _ in range(3):
            found(text, stage, recipient="a@d.example")
        assert time.process_time() - began < 0.06, text[:20]  # some hundredfold of what it takes


class TestOursIsNotThere:
    @each(
        "text",
        [
            "550 sender domain example.test does not exist",
            "550 example.test not found",
            "550 Unknown host out.example.test",
            "550 cannot resolve your domain example.test",
            "550 unknown client [192.0.2.1]",
            "450 out.example.test: host not found",
        ],
    )
    def test_a_name_of_ours_that_is_not_known_blames_no_recipient(self, text):
        assert found(text).name.about is About.US

    @pytest.mark.parametrize(
        "text",
        [
            "550 5.1.1 User unknown (connection from out.example.test)",
            "550 no such user, reported to 192.0.2.1",
            "550 <a@d.example> does not exist [192.0.2.1]",
        ],
    )
    def test_a_refusal_that_only_mentions_us_is_about_the_recipient(self, text):
        assert name(text) == "bad_address"


class TestAfterTheRecipient:
    @pytest.mark.parametrize("stage", [Stage.DATA, Stage.DOT])
    def test_an_unknown_user_may_be_a_filter(self, stage):
        answer = found("550 Unknown user a@d.example", stage)
        assert (answer.name, answer.is_sure) == (FailureClass.BAD_ADDRESS, False)

    @pytest.mark.parametrize(
        "text", ["550 5.1.1 User unknown", "554 This user doesn't have a yahoo.com account"]
    )
    def test_a_code_and_words_that_no_filter_says_are_sure(self, text):
        assert found(text, Stage.DOT).is_sure

    def test_at_rcpt_it_is_sure(self):
        assert found("550 Unknown user a@d.example", Stage.RCPT).is_sure


@pytest.mark.parametrize("code", [534, 535, 538])
def test_an_answer_to_our_credentials_is_not_about_the_recipient(code):
    assert found(f"{code} account disabled", Stage.REPORT).name.about is not About.RECIPIENT


def test_the_name_of_a_rule_fits_its_column():
    ours = Ours(names=frozenset([f"{'a' * 60}.{'b' * 60}.{'c' * 60}.example"]))
    found = classify(Answer(550, None, f"mail of {min(ours.names)} was refused", Stage.RCPT), ours)
    assert (found.name, len(found.rule)) == (FailureClass.REPUTATION, MAX_RULE)
