from datetime import timedelta

import pytest

from postal_server.models import Delivery, FailureEvidence, Suppression
from postal_server.rules.status import DeliveryStatus
from postal_server.rules.suppression import Reason
from postal_server.services.results import suppression
from postal_server.services.results.suppression import Suppress
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import NOW, sent, store

WHO = (1, "Ann@Dest.example")


@pytest.mark.django_db
class TestNoteFailures:
    def test_the_second_failure_within_a_day_suppresses(self, config):
        assert suppression.note_failures({7: WHO}, config, NOW) == set()
        assert not Suppression.objects.exists()
        assert suppression.note_failures({8: WHO}, config, NOW + timedelta(hours=23)) == {8}
        assert Suppression.objects.get().text == "too many hard fails"

    def test_a_failure_after_a_day_is_the_first_again(self, config):
        suppression.note_failures({7: WHO}, config, NOW)
        assert suppression.note_failures({8: WHO}, config, NOW + timedelta(hours=24)) == set()

    def test_another_server_or_address_does_not_count(self, config):
        suppression.note_failures({7: WHO}, config, NOW)
        assert suppression.note_failures({8: (2, WHO[1]), 9: (1, "b@x.example")}, config, NOW) == set()

    def test_two_failures_in_one_batch_are_two(self, config):
        assert suppression.note_failures({7: WHO, 8: WHO}, config, NOW) == {8}

    def test_recording_again_does_not_count_twice(self, config):
        suppression.note_failures({7: WHO}, config, NOW)
        assert suppression.note_failures({7: WHO}, config, NOW) == set()


class TestApply:
    def test_the_second_hard_failure_suppresses_and_says_so(self, world, record):
        for expected in (
            "Permanent SMTP delivery error when sending to 127.0.0.1:25 (mx.dest.example)",
            "Permanent SMTP delivery error when sending to 127.0.0.1:25 (mx.dest.example). "
            "Recipient added to suppression list (too many hard fails)",
        ):
            [claim] = store(world)
            record(sent(claim, "550 5.1.1 no such user"))
            assert Delivery.objects.get(message_id=claim.id).details == expected
        assert Suppression.objects.get().key == "a@dest.example"

    @pytest.mark.parametrize(
        "answer", ["550 5.7.1 blocked", "554 5.3.4 too big", "421 4.7.0 slow down", "450 4.2.1 x"]
    )
    def test_answers_that_are_not_about_the_person_leave_no_evidence(self, world, record, answer):
        [claim] = store(world)
        record(sent(claim, answer))
        assert not FailureEvidence.objects.exists()

    def test_a_released_mail_that_arrives_clears(self, world, record, config):
        suppression.add({(world.server.pk, "a@dest.example"): Reason.BAD_ADDRESS}, config, NOW)
        [claim] = store(world, is_manual=True)
        record(sent(claim))
        assert Suppression.objects.get().ended_by == "success"
        assert Delivery.objects.get().details.endswith(
            "(mx.dest.example). Recipient removed from suppression list"
        )

    def test_used_up_attempts_suppress(self, world, record):
        [claim] = store(world)
        record(Decision(claim, DeliveryStatus.FAILED, "used up", effects=(Suppress(Reason.EXPIRED),)))
        assert Suppression.objects.get().text == "too many soft fails"
