from datetime import timedelta

from postal_server.models import Suppression
from postal_server.rules.suppression import Reason
from postal_server.services.operations import suppressed_domains
from postal_server.services.results.suppression_entries import given_entry, put
from postal_server.services.shared.dns_questions import Question
from tests.postal_server.services.conftest import NOW
from tests.postal_server.services.results.conftest import events

DAY = timedelta(days=1)
ANSWERS = {
    "back.example": ["10 mx.back.example."],
    "gone.example": [],
    "null.example": ["0 ."],
    "unknown.example": None,
    "xn--bcher-kva.example": ["5 mx.example."],
}


def suppress(server_id: int, address: str, reason: Reason = Reason.BAD_DOMAIN, age: timedelta = DAY) -> None:
    put([given_entry((server_id, address), NOW - age, keep_until=NOW + 2 * DAY, reason=reason)])


def test_domains_that_have_mail_hosts_again_leave_the_list(world):
    world.add_webhook()
    number = world.server.pk
    for domain in ANSWERS:
        suppress(number, f"a@{domain}")
    suppress(number, "b@back.example")
    suppress(number, "b@bücher.example")
    suppress(number, "young@back.example", age=DAY / 2)
    suppress(number, "bad@back.example", Reason.BAD_ADDRESS)
    asked = []

    def ask(questions):
        asked.extend(questions)
        return {question: ANSWERS[question.name] for question in questions}

    assert suppressed_domains.check(NOW, ask) == 4
    ended = Suppression.objects.filter(ended_at=NOW, ended_by="domain has MX again")
    assert set(ended.values_list("key", flat=True)) == {
        "a@back.example",
        "b@back.example",
        "a@xn--bcher-kva.example",
        "b@xn--bcher-kva.example",
    }
    told = [payload["suppression"] for payload in events("SuppressionRemoved")]
    assert {entry["ended_by"] for entry in told} == {"domain has MX again"}
    assert len(told) == 4
    assert asked == [Question(name, "MX") for name in sorted(ANSWERS)]
