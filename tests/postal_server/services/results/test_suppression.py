from datetime import timedelta

import pytest

from postal_server.models import Delivery, FailureEvidence, Suppression
from postal_server.rules.status import DeliveryStatus
from postal_server.services.results import suppression
from postal_server.services.results.suppression import Suppress
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import NOW, sent, store

WHO = (1, "Ann@Dest.example")


@pytest.mark.django_db
class TestReasons:
    def test_addresses_are_compared_without_case_and_per_server(self, config):
        suppression.add({WHO: "too many hard fails"}, config, NOW)
        found = suppression.reasons(
            [(1, "ANN@dest.example"), (2, "ann@dest.example"), (1, "b@x.example")], NOW
        )
        assert suppression.reason_for((1, "ann@DEST.example"), found) == "too many hard fails"
        assert suppression.reason_for((2, "ann@dest.example"), found) is None

    @pytest.mark.parametrize("spelling", ["Ünna@bücher.example.", '"ÜNNA"@XN--BCHER-KVA.example'])
    def test_an_address_is_found_in_any_spelling(self, config, spelling):
        suppression.add({(1, "ünna@BÜCHER.example"): "x"}, config, NOW)
        found = suppression.reasons([(1, spelling)], NOW)
        assert suppression.reason_for((1, spelling), found) == "x"
        cleared = suppression.clear([(1, spelling)])
        assert suppression.was_cleared((1, spelling), cleared)
        assert not Suppression.objects.exists()

    def test_two_failures_of_two_spellings_are_two_of_one_address(self, config):
        assert not suppression.note_failures({1: (1, "john@bücher.example")}, config, NOW)
        assert suppression.note_failures({2: (1, '"john"@xn--bcher-kva.example')}, config, NOW) == {2}

    def test_what_is_past_its_time_does_not_count(self, config):
        suppression.add({WHO: "x"}, config, NOW)
        assert suppression.reasons([WHO], NOW + timedelta(days=29))
        assert not suppression.reasons([WHO], NOW + timedelta(days=30))

    @pytest.mark.parametrize("count", [1, 50])
    def test_a_batch_takes_one_query(self, count, django_assert_num_queries):
        with django_assert_num_queries(1):
            suppression.reasons([(1, f"a{n}@x.example") for n in range(count)], NOW)


@pytest.mark.django_db
class TestAdd:
    def test_adding_again_starts_the_time_anew(self, config):
        suppression.add({WHO: "first"}, config, NOW)
        suppression.add({WHO: "second"}, config, NOW + timedelta(days=5))
        row = Suppression.objects.get()
        assert (row.address, row.reason, row.created_at) == ("ann@dest.example", "second", NOW)
        assert row.keep_until == NOW + timedelta(days=35)


@pytest.mark.django_db
class TestClear:
    def test_those_on_the_list_are_named_and_leave_it(self, config):
        suppression.add({WHO: "x", (2, "ann@dest.example"): "x"}, config, NOW)
        cleared = suppression.clear([WHO, (1, "other@x.example")])
        assert suppression.was_cleared((1, "ann@dest.example"), cleared)
        assert not suppression.was_cleared((1, "other@x.example"), cleared)
        assert Suppression.objects.get().server_id == 2


@pytest.mark.django_db
class TestNoteFailures:
    def test_the_second_failure_within_a_day_suppresses(self, config):
        assert suppression.note_failures({7: WHO}, config, NOW) == set()
        assert not Suppression.objects.exists()
        assert suppression.note_failures({8: WHO}, config, NOW + timedelta(hours=23)) == {8}
        assert Suppression.objects.get().reason == "too many hard fails"

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


@pytest.mark.django_db
def test_what_is_past_its_time_is_deleted(config):
    suppression.add({WHO: "x"}, config, NOW)
    suppression.note_failures({7: WHO}, config, NOW)
    assert suppression.expire(NOW + timedelta(days=1)) == 0
    assert not FailureEvidence.objects.exists()
    assert suppression.expire(NOW + timedelta(days=30)) == 1
    assert not Suppression.objects.exists()


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
        assert Suppression.objects.get().address == "a@dest.example"

    @pytest.mark.parametrize(
        "answer", ["550 5.7.1 blocked", "554 5.3.4 too big", "421 4.7.0 slow down", "450 4.2.1 x"]
    )
    def test_answers_that_are_not_about_the_person_leave_no_evidence(self, world, record, answer):
        [claim] = store(world)
        record(sent(claim, answer))
        assert not FailureEvidence.objects.exists()

    def test_a_released_mail_that_arrives_clears(self, world, record, config):
        suppression.add({(world.server.pk, "a@dest.example"): "too many hard fails"}, config, NOW)
        [claim] = store(world, is_manual=True)
        record(sent(claim))
        assert not Suppression.objects.exists()
        assert Delivery.objects.get().details.endswith(
            "(mx.dest.example). Recipient removed from suppression list"
        )

    def test_used_up_attempts_suppress(self, world, record):
        [claim] = store(world)
        record(Decision(claim, DeliveryStatus.FAILED, "used up", effects=(Suppress("too many soft fails"),)))
        assert Suppression.objects.get().reason == "too many soft fails"
