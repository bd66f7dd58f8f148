import pytest

from postal_server.rules.classification import Answer, Ours, classify
from postal_server.rules.classification.own_rules import parse_own_rules
from postal_server.rules.failure_class import FailureClass, Stage
from tests.each import each


def name(text, rules, operator=""):
    return classify(Answer(None, None, text, Stage.RCPT, operator), Ours(rules=parse_own_rules(rules))).name


def test_an_own_rule_comes_before_ours():
    assert name("550 user unknown", []) is FailureClass.BAD_ADDRESS
    assert name("550 User (un)known", ['policy "user (un)known"']) is FailureClass.POLICY


def test_an_own_rule_for_an_operator_counts_there_only():
    rules = ['rate  "Come Back"  operator=ATT.net']
    assert name("550 5.1.1 come back", rules, "att.net") is FailureClass.RATE
    assert name("550 5.1.1 come back", rules, "d.example") is FailureClass.BAD_ADDRESS
    assert name("550 5.1.1 come back", rules) is FailureClass.BAD_ADDRESS


@each(
    "text, why",
    [
        ("reputation", "a class and a text are expected"),
        ("reputation is not welcome", "a class and a text are expected"),
        ('reputation "x y z w" host=a.example', "a class and a text are expected"),
        ('spam "is spam"', "'spam' is none of bad_address, bad_domain"),
        ('rate "x"', "the text needs 4 characters or more"),
        ('rate "slow down" operator=google', "'google' is not the domain of an operator"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(text, why):
    with pytest.raises(ValueError, match=why) as raised:
        parse_own_rules([text])
    assert repr(text) in str(raised.value)
