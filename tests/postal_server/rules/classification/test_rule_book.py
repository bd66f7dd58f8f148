import pytest

from postal_server.rules.classification.rule_book import RuleBook, alternatives
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.reply_rules import ReplyRule
from tests.each import each

FULL, POLICY = FailureClass.MAILBOX_FULL, FailureClass.POLICY


def book(*patterns, names=()):
    names = [*names, *[POLICY] * (len(patterns) - len(names))]
    return RuleBook([ReplyRule(name, pattern) for pattern, name in zip(patterns, names, strict=True)])


def found(text, *patterns):
    match = book(*patterns).find(text)
    return match and match[0].pattern


@each(
    "pattern, words, is_plain",
    [
        (r"user unknown", [(("user unknown",),)], [True]),
        (r"no such|unknown", [(("no such",),), (("unknown",),)], [True, True]),
        (r"5\.4\.1 denied", [(("5.4.1 denied",),)], [True]),
        (r"[45]\.7\.28\b", [((".7.28",),)], [False]),
        (r"mailbox.{0,40}(?:is )?(?:full|over)", [(("mailbox",), ("full", "over"))], [False]),
        (r"colou?rs (a|b)* none", [(("colo",), ("rs ",), (" none",))], [False]),
        (r"(?:|maybe) something", [((" something",),)], [False]),
        (r"(?!not )really(?:one)", [(("really",), ("one", "one"))], [False]),
        (r"foo(bar|(baz|q)x) done", [(("foo",), ("bar", "x"), (" done",))], [False]),
        (r"nine x{4}y? times", [(("nine ",), (" times",))], [False]),
    ],
)
def test_the_words_that_each_match_has(pattern, words, is_plain):
    assert [each.words for each in alternatives(pattern)] == words
    assert [each.is_plain for each in alternatives(pattern)] == is_plain


def test_a_pattern_without_plain_characters_is_refused():
    with pytest.raises(ValueError, match="4 plain characters"):
        alternatives(r"long enough|\d+ of")


def test_the_first_rule_that_matches_counts():
    assert found("the mailbox is full", r"is full", r"mailbox.{0,9}full") == r"is full"
    assert found("the mailbox is full", r"was full", r"mailbox.{0,9}full") == r"mailbox.{0,9}full"


def test_words_in_another_order_or_too_far_apart_do_not_match():
    assert found("full is the mailbox", r"mailbox.{0,9}full") is None
    assert found("mailbox of many words is full", r"mailbox.{0,9}full") is None


def test_patterns_may_be_written_in_any_case():
    assert found("error ib504 from x", r"Error IB5\d\d") == r"Error IB5\d\d"


def test_classes_may_be_left_out():
    rule, _ = book("mailbox full", "full", names=[FULL]).find("mailbox full", frozenset([FULL]))
    assert rule.pattern == "full"


def test_the_words_that_were_matched_are_given():
    assert book("user unknown|no such").find("550 no such user")[1] == "no such"
    assert book(r"mailbox.{0,9}full").find("the mailbox is full.")[1] == "mailbox is full"


def test_a_match_is_found_in_a_long_text():
    text = f"{'mailbox ' * 90}{'x ' * 200}the mailbox of a@b is full{' y' * 200}"
    assert found(text, r"mailbox.{0,12}is full") is not None
    assert found(text.replace("is full", "is fine, full"), r"mailbox.{0,12}is full") is None
