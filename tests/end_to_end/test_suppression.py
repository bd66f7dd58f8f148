"""What answers of receivers make of further mail: over SMTP and signed webhooks, up to the signal."""

from __future__ import annotations

import pytest
from anymail.message import AnymailMessage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.end_to_end.urls")]
NO_SUCH_USER = "550 5.1.1 No such user here"
FULL = "552 5.2.2 The email account that you tried to reach is over quota."
REPUTATION = "553 5.3.0 alpd682 DNSBL:ATTRBL 521< 192.0.2.1 >_is_blocked."


def send(postal, *addresses: str) -> list[str]:
    """The statuses of mails to these addresses, each sent after the one before was answered."""
    for address in addresses:
        AnymailMessage(subject="Hello", body="x", from_email=f"app@{postal.domain}", to=[address]).send()
        postal.wait_until_quiet()
    return [message["status"] for message in reversed(postal.messages())]


@pytest.mark.parametrize(
    ("answer", "second"), [(NO_SUCH_USER, "Held"), (FULL, "HardFail"), (REPUTATION, "HardFail")]
)
def test_a_sure_answer_about_the_address_stops_the_next_mail(project, heard, answer, second):
    project.simulate("bob@example.org", answer)
    assert send(project, "bob@example.org", "Bob@example.org") == ["HardFail", second]
    assert heard["tracking"][0].event_type in ("bounced", "failed")


def test_the_same_domain_in_another_spelling_is_stopped(project):
    project.simulate("bob@xn--bcher-kva.example", NO_SUCH_USER)
    statuses = send(project, "bob@xn--bcher-kva.example", "bob@b\u00fccher.example")
    assert statuses == ["HardFail", "Held"]
