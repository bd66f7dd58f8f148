import pytest

from postal_server.rules.classification.reply_codes import of_enhanced
from postal_server.rules.failure_class import FailureClass
from tests.each import each


@each(
    "code, name",
    [
        ("5.1.1", "bad_address"), ("5.1.3", "bad_address"), ("5.1.6", "bad_address"),
        ("5.1.10", "bad_address"),
        ("5.1.2", "bad_domain"), ("5.4.310", "bad_domain"),
        ("5.1.7", "infrastructure"), ("5.1.8", "infrastructure"), ("5.1.9", "infrastructure"),
        ("5.2.1", "inactive"), ("5.7.13", "inactive"),
        ("4.2.2", "mailbox_full"), ("5.2.2", "mailbox_full"),
        ("4.4.1", "expired"), ("4.4.2", "expired"), ("5.4.7", "expired"),
        ("4.3.2", "rate"), ("5.7.28", "rate"), ("4.7.500", "rate"), ("4.5.3", "rate"),
        ("5.7.606", "reputation"), ("5.7.649", "reputation"), ("4.7.650", "reputation"),
        ("5.7.23", "authentication"), ("5.7.30", "authentication"), ("5.7.515", "authentication"),
        ("5.7.509", "authentication"),
        ("5.3.0", "infrastructure"), ("5.5.1", "infrastructure"), ("5.4.6", "infrastructure"),
        ("5.6.0", "content"), ("5.6.7", "content"),
        ("5.3.4", "too_large"), ("5.2.3", "too_large"),
        ("5.7.1", "policy"), ("5.7.0", "policy"),
    ],
)  # fmt: skip
def test_the_class_of_a_code(code, name):
    found = of_enhanced(tuple(code.split(".")))
    assert found is not None
    assert found[0] is FailureClass(name)


@each("code", ["5.0.0", "5.1.0", "5.2.0", "4.2.0", "5.9.9"])
def test_a_code_that_says_nothing_has_no_class(code):
    assert of_enhanced(tuple(code.split("."))) is None


@pytest.mark.parametrize(("code", "is_sure"), [("5.1.1", True), ("5.7.1", False), ("5.5.0", False)])
def test_words_win_over_a_code_that_means_many_things(code, is_sure):
    assert of_enhanced(tuple(code.split(".")))[1] is is_sure
