import pytest

from postal_server.rules.classification import Classification
from postal_server.rules.classification.consequence import what_follows
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.suppression import RULES
from tests.each import each

LISTED = "The message fails. Its recipient comes on the suppression list"


@each(
    "name, is_sure, sentence",
    [
        ("bad_address", True, f"{LISTED} at once, for 30 days the first time"),
        (
            "bad_address",
            False,
            f"{LISTED} after 3 such failures on different days, for 30 days the first time",
        ),
        ("inactive", True, f"{LISTED} after 2 such failures 24 hours apart, for 30 days the first time"),
        (
            "mailbox_full",
            True,
            f"{LISTED} after 3 such failures on different days within 14 days, for 7 days the first time",
        ),
        ("rate", True, "The message fails. Its recipient does not come on the suppression list"),
    ],
)
def test_a_failure_says_whether_its_recipient_is_suppressed(name, is_sure, sentence):
    found = Classification(FailureClass(name), is_sure, "", "")
    assert what_follows(found, RULES, is_transient=False) == f"{sentence}."


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("bad_address", "The message is tried again."),
        ("rate", "The message is tried again. Mail to this operator may be slowed down."),
    ],
)
def test_after_a_deferral_the_message_is_tried_again(name, sentence):
    assert (
        what_follows(Classification(FailureClass(name), False, "", ""), RULES, is_transient=True) == sentence
    )


def test_a_reason_that_is_switched_off_suppresses_no_address():
    found = Classification(FailureClass.BAD_ADDRESS, True, "", "")
    assert what_follows(found, {}, is_transient=False).endswith("does not come on the suppression list.")
