"""RFC 3834 and its older relatives: which mail was written by a machine."""

from email.message import EmailMessage

import pytest

from anymail_postal.auto_response import is_auto_response


def message(**headers):
    made = EmailMessage()
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    return made


AUTOMATIC = {
    "auto-replied": {"Auto_Submitted": "auto-replied"},
    "auto-generated": {"Auto_Submitted": "auto-generated"},
    "auto-notified": {"Auto_Submitted": "auto-notified; owner-email=x@example.org"},
    "unknown word": {"Auto_Submitted": "Maybe"},
    "empty Auto-Submitted says not no": {"Auto_Submitted": "x (no)"},
    "bulk": {"Precedence": "bulk"},
    "junk": {"precedence": "JUNK "},
    "list": {"Precedence": "list"},
    "List-Id": {"List_Id": "<l.example.org>"},
    "List-Unsubscribe": {"list_unsubscribe": "<mailto:x@example.org>"},
    "X-Autoreply": {"X_Autoreply": "yes"},
    "X-Autorespond": {"X_Autorespond": "Out of office"},
    "X-Auto-Response-Suppress": {"X_Auto_Response_Suppress": "All"},
    "a marker without a value": {"X_Autoreply": ""},
}
PERSONAL = {
    "nothing": {},
    "no": {"Auto_Submitted": "no"},
    "No with comment": {"Auto_Submitted": "No (a person wrote this)"},
    "no with parameter": {"Auto_Submitted": "no; reason=person"},
    "empty": {"Auto_Submitted": ""},
    "first-class": {"Precedence": "first-class"},
    "special-delivery": {"Precedence": "special-delivery"},
    "X-Autoreply: no": {"X_Autoreply": "No"},
    "X-Auto-Response-Suppress: None": {"X_Auto_Response_Suppress": "None"},
    "a header that only contains list-": {"X_List_Id": "x"},
}


@pytest.mark.parametrize("headers", AUTOMATIC.values(), ids=AUTOMATIC)
def test_a_machine_wrote_this(headers):
    assert is_auto_response(message(**headers), "ann@example.org")


@pytest.mark.parametrize("headers", PERSONAL.values(), ids=PERSONAL)
def test_a_person_wrote_this(headers):
    assert not is_auto_response(message(**headers), "ann@example.org")


@pytest.mark.parametrize("reverse_path", [None, "", "<>"])
def test_the_null_reverse_path_is_a_machine(reverse_path):
    assert is_auto_response(message(), reverse_path)


def test_postal_says_that_it_is_a_bounce():
    assert is_auto_response(message(), "ann@example.org", bounce=True)


def test_of_repeated_headers_one_is_enough():
    mail = EmailMessage()
    mail["Auto-Submitted"] = "no"
    mail["auto-submitted"] = "auto-replied"
    assert is_auto_response(mail, "ann@example.org")
