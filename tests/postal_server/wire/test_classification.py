from types import SimpleNamespace

from postal_server.wire.classification import classification_hash
from tests.each import each

ROW = {
    "status": "HardFail",
    "code": 550,
    "output": "550 5.1.1 no",
    "diagnostic": None,
    "sent_with_ssl": False,
    "failure_class": "bad_address",
    "rule": "5.1.1",
    "stage": "rcpt",
    "operator": "dest.example",
    "is_sure": True,
}


def shown(suppressed=None, **values):
    return classification_hash(SimpleNamespace(**{**ROW, **values}), suppressed)


def test_a_failure_is_shown_whole():
    entry = {"scope": "", "reason": "bad_address", "keep_until": None}
    assert list(shown(entry).items()) == [
        ("class", "bad_address"),
        ("about", "recipient"),
        ("sure", True),
        ("permanent", True),
        ("stage", "rcpt"),
        ("smtp_code", 550),
        ("enhanced_status", "5.1.1"),
        ("diagnostic", "550 5.1.1 no"),
        ("operator", "dest.example"),
        ("rule", "5.1.1"),
        ("gave_up", False),
        ("suppressed", entry),
    ]


def test_what_was_sent_has_no_classification():
    assert shown(failure_class="") is None


def test_a_deferral_is_not_permanent():
    assert shown(status="SoftFail")["permanent"] is False


@each(
    "status, stored, name",
    [
        ("Held", "", "held"),
        ("HoldCancelled", "", "cancelled"),
        ("Held", "suppressed", "suppressed"),
        ("HardFail", "suppressed", "suppressed"),
    ],
)
def test_what_no_answer_has_led_to_is_about_nobody(status, stored, name):
    found = shown(status=status, failure_class=stored, code=None, output=None, sent_with_ssl=None)
    assert (found["class"], found["about"], found["sure"], found["gave_up"]) == (name, None, True, False)


def test_a_decision_without_an_attempt_is_giving_up():
    found = shown(code=None, sent_with_ssl=None, output=None, diagnostic="452 4.2.2 " + "x" * 3000)
    assert (found["gave_up"], found["enhanced_status"], len(found["diagnostic"])) == (True, "4.2.2", 2000)


def test_what_is_not_known_is_null():
    found = shown(output=None, code=None, operator="", stage="", rule="")
    assert [name for name, value in found.items() if value is None] == [
        "stage",
        "smtp_code",
        "enhanced_status",
        "diagnostic",
        "operator",
        "rule",
        "suppressed",
    ]
