from datetime import timedelta

import pytest

from postal_server import conf
from postal_server.engine.queue import MESSAGES
from postal_server.engine.row_decisions import expired_decision
from postal_server.models import Delivery, FailureEvidence, Incident, OperatorAnswers, Suppression
from postal_server.rules.classification import Classification
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.status import DeliveryStatus
from postal_server.rules.suppression import Reason
from postal_server.services.operations import incidents
from postal_server.services.results import record as results
from postal_server.services.results import suppression_entries as entries
from postal_server.services.results.batch import Batch
from postal_server.services.results.classification import GaveUp
from postal_server.services.results.suppression import Failure, Stopped, forgive, note_failures
from postal_server.services.shared.work import Decision
from tests.postal_server.services.conftest import DNS, NOW, sent, store

from .conftest import LATER, events

DAY = timedelta(days=1)
ANN = "Ann@Dest.example"
MONTH = timedelta(days=30)


@pytest.fixture
def fail(world, config):
    """Notes a failure `days` after NOW; the result is whether the address came on the list."""
    numbers = iter(range(1, 1000))

    def call(
        name="bad_address", days=0.0, address=ANN, *, is_sure=True, is_strong=True, config=config, **values
    ):
        found = Classification(FailureClass(name), is_sure, "a rule", values.pop("operator", ""))
        number = values.pop("message_id", None) or next(numbers)
        failure = Failure(world.server.pk, address, number, found, is_strong, **values)
        return note_failures([failure], batch(world, config, days)) == {number}

    return call


def batch(world, config, days=0.0) -> Batch:
    return Batch([], [], world.directory(), config, NOW + days * DAY)


def configured(config: conf.Config, **keys) -> conf.Config:
    return conf.parse({"dns": DNS, "suppression": keys}, {}, config.root)


@pytest.mark.parametrize(
    ("name", "first", "lasts"),
    [
        ("bad_address", [0], (30, 90, 365)),
        ("bad_domain", [0], (3, 14, 60)),
        ("inactive", [0, 1], (30, 90, 365)),
        ("mailbox_full", [0, 1, 2], (7, 14, 30)),
        ("expired", [0, 1, 2], (3, 7, 30)),
        ("unknown", [0, 1, 2], (3, 7, 30)),
    ],
)
def test_every_reason_the_first_second_and_third_time(fail, name, first, lasts):
    start = 0
    for times, days in enumerate(lasts, 1):
        *before, last = [fail(name, start + day, text="550 no", code="5.5.0") for day in first]
        assert (before, last) == ([False] * len(before), True)
        row = Suppression.objects.get()
        assert (row.reason, row.times, row.state) == (name, times, "active")
        assert row.created_at == NOW + timedelta(days=start + first[-1])
        assert row.keep_until - row.created_at == timedelta(days=days)
        assert (row.key, row.address, row.answer, row.rule, row.code) == (
            "ann@dest.example",
            ANN,
            "550 no",
            "a rule",
            "5.5.0",
        )
        start += first[-1] + days
    for day in first:
        fail(name, start + 366 + day)
    assert Suppression.objects.get().times == 1


@pytest.mark.parametrize(
    "name", ["rate", "reputation", "authentication", "infrastructure", "content", "too_large", "policy"]
)
def test_what_is_not_about_the_recipient_is_no_strike(fail, name):
    for day in range(5):
        assert not fail(name, day)
    assert not FailureEvidence.objects.exists()


class TestNoteFailures:
    def test_failures_of_one_day_are_one(self, fail):
        assert [fail("mailbox_full", hour / 24) for hour in range(5)] == [False] * 5
        assert FailureEvidence.objects.count() == 1

    def test_one_full_mailbox_of_one_message_suppresses_no_one(self, fail):
        assert not fail("mailbox_full")
        assert not Suppression.objects.exists()

    def test_a_dead_address_that_gets_one_mail_a_week_comes_on_the_list(self, fail):
        assert [fail(days=day, is_sure=False) for day in (0, 7, 14)] == [False, False, True]

    def test_weak_evidence_is_no_strike(self, fail):
        for day in range(5):
            assert not fail(days=day, is_strong=False)
        assert not FailureEvidence.objects.exists()

    def test_a_forwarders_dead_target_is_a_strike_of_unknown(self, fail, config):
        assert not fail(is_forwarded=True)
        assert FailureEvidence.objects.get().failure_class == "unknown"
        once = configured(config, unknown="1 for 3d")
        assert not fail(address="b@dest.example", is_forwarded=True, config=once)
        assert [fail(days=day, is_forwarded=True) for day in (1, 2)] == [False, True]

    def test_recording_again_does_not_count_twice(self, fail):
        for day in range(4):
            assert not fail("unknown", day, message_id=7)
        assert FailureEvidence.objects.count() == 1

    def test_two_spellings_are_one_address(self, fail):
        assert not fail("inactive", address="john@b\u00fccher.example")
        assert fail("inactive", 1, address='"john"@xn--bcher-kva.example')

    def test_another_class_is_another_strike(self, fail):
        assert not any([fail("unknown"), fail("expired", 1), fail("mailbox_full", 2)])
        assert FailureEvidence.objects.count() == 3

    def test_an_entry_that_stands_lasts_longer_and_is_not_told_again(self, fail):
        fail("bad_address")
        assert not fail("bad_address", 10)
        row = Suppression.objects.get()
        assert (row.times, row.created_at, row.keep_until) == (1, NOW, NOW + 40 * DAY)

    def test_an_entry_for_ever_is_not_shortened(self, fail):
        fail("bad_address")
        Suppression.objects.update(keep_until=None)
        fail("bad_address", 10)
        assert Suppression.objects.get().keep_until is None

    def test_of_two_failures_in_a_batch_the_first_puts_it_on(self, world, config):
        found = Classification(FailureClass.BAD_ADDRESS, True, "", "")
        failures = [Failure(world.server.pk, ANN, number, found, is_strong=True) for number in (4, 5)]
        assert note_failures(failures, batch(world, config)) == {4}
        assert Suppression.objects.get().source_message_id == 4

    @pytest.mark.parametrize("count", [1, 50])
    def test_the_number_of_queries_is_fixed(self, world, config, count, django_assert_num_queries):
        found = Classification(FailureClass.BAD_ADDRESS, True, "", "dest.example")
        failures = [
            Failure(world.server.pk, f"a{n}@x.example", n, found, is_strong=True) for n in range(count)
        ]
        current = batch(world, config)
        with django_assert_num_queries(6):
            note_failures(failures, current)
        with django_assert_num_queries(0):
            note_failures([], current)


class TestConfiguration:
    def test_a_reason_that_is_off(self, fail, config):
        assert not fail(config=configured(config, bad_address="off"))
        assert not FailureEvidence.objects.exists()

    def test_postals_rule(self, fail, config):
        as_postal = configured(config, bad_address="2 for 30d within=24h apart=0h")
        assert not fail(config=as_postal)
        assert fail(days=0.01, config=as_postal)

    def test_entries_for_one_stream(self, fail, config):
        for_stream = configured(config, address_scope="stream")
        assert fail(config=for_stream, stream="news", sending_domain="a.example")
        assert fail(config=for_stream, stream="receipts")
        assert set(Suppression.objects.values_list("scope", flat=True)) == {"stream:news", "stream:receipts"}

    def test_entries_for_one_domain(self, fail, config):
        assert fail(
            config=configured(config, bad_address="1 for 2d scope=domain"), sending_domain="a.example"
        )
        assert Suppression.objects.get().scope == "domain:a.example"

    def test_an_imported_server_keeps_postals_time_until_a_key_is_written(self, fail, config, world):
        world.server.is_imported = True
        world.server.save()
        assert fail("bad_domain")
        assert Suppression.objects.get().keep_until == NOW + MONTH
        assert fail("bad_domain", address="b@x.example", config=configured(config, bad_domain="1 for 3d"))
        assert Suppression.objects.get(key="b@x.example").keep_until == NOW + 3 * DAY

    def test_a_rule_that_is_none_is_named(self, fail, config):
        with pytest.raises(conf.ConfigurationError, match=r"suppression\.unknown: 'often' is neither"):
            fail("unknown", config=configured(config, unknown="often"))


class TestStorm:
    def answers(self, answers: int, blamed: int, hours_ago: float) -> None:
        since = NOW - timedelta(hours=hours_ago)
        OperatorAnswers.objects.create(operator="google.com", since=since, answers=answers, blamed=blamed)

    def test_entries_are_proposed_and_so_are_those_of_the_hour_before(self, fail):
        assert fail(address="before@dest.example", days=-0.02, operator="google.com")
        assert fail(address="other@dest.example", days=-0.02, operator="yahoo.com")
        assert fail(address="long-before@dest.example", days=-0.2, operator="google.com")
        self.answers(100, 20, 0.4)
        assert not fail(operator="google.com", text="550 5.1.1 no")
        incident = Incident.objects.get()
        assert (incident.operator, incident.count, incident.answers) == ("google.com", 20, 100)
        assert incident.sample == "550 5.1.1 no"
        states = dict(Suppression.objects.values_list("key", "state"))
        assert states == {
            "ann@dest.example": "proposed",
            "before@dest.example": "proposed",
            "other@dest.example": "active",
            "long-before@dest.example": "active",
        }
        assert not entries.find([(Suppression.objects.first().server_id, ANN)], NOW)

    def test_a_list_that_was_as_bad_the_day_before_is_believed(self, fail):
        self.answers(100, 20, 0.4)
        self.answers(1000, 100, 5)
        assert fail(operator="google.com")

    def test_only_what_is_in_doubt_waits(self, fail):
        self.answers(100, 100, 0.4)
        assert not fail(operator="google.com")
        assert fail("bad_domain", address="b@dest.example", operator="google.com")

    def test_what_was_proposed_while_the_incident_ended_does_not_wait_for_ever(self, fail):
        self.answers(100, 100, 0.4)
        assert not fail(operator="google.com")
        assert not fail(operator="google.com", days=0.01)
        Incident.objects.update(ended_at=NOW)
        assert fail(operator="google.com", days=2)
        row = Suppression.objects.get()
        assert (row.state, row.incident_id) == ("active", None)

    def test_where_all_mail_is_caught_no_operator_is_in_doubt(self, world, config):
        caught = conf.parse({"dns": DNS, "delivery": {"mode": "catch"}}, {}, config.root)
        claims = store(world, *(f"a{number}@dest.example" for number in range(30)))
        results.record([sent(claim, "550 5.1.1 no") for claim in claims], world.directory(), caught, NOW)
        assert Suppression.objects.filter(state="active").count() == 30
        assert not OperatorAnswers.objects.exists()

    def test_answers_to_mail_that_is_caught_are_no_operators(self, world, config):
        delivery = {"mode": "allowlist", "allowlist": ["a1@dest.example"]}
        listed = conf.parse({"dns": DNS, "delivery": delivery}, {}, config.root)
        claims = store(world, *(f"a{number}@dest.example" for number in range(3)))
        results.record([sent(claim) for claim in claims], world.directory(), listed, NOW)
        assert OperatorAnswers.objects.get().answers == 1


class TestForgive:
    def test_a_success_removes_strikes_and_ends_what_failures_made(self, fail, world, config):
        fail("bad_address")
        fail("unknown")
        fail(address="b@dest.example")
        [manual] = [entries.given_entry((world.server.pk, ANN), NOW, keep_until=None)]
        entries.put([manual])
        [row] = forgive([(world.server.pk, "ANN@dest.example")], batch(world, config, 1))
        assert (row.reason, row.key) == ("bad_address", "ann@dest.example")
        standing = entries.standing(NOW + DAY).values_list("key", "reason")
        assert set(standing) == {("ann@dest.example", "manual"), ("b@dest.example", "bad_address")}
        assert FailureEvidence.objects.get().key == "b@dest.example"


def test_strikes_of_one_address_never_touch_another(fail, world):
    """Whatever happens to some addresses, each has the entries that its own failures make."""
    classes = ["bad_address", "mailbox_full", "unknown", "inactive", "policy"]
    addresses = ["a@x.example", "a+tag@x.example", "a.b@x.example", "A@y.example", "\u00e4@x.example"]
    for step in range(120):
        number, address = step * 7 % 5, addresses[step * 3 % 5]
        if number != 4 or address != "a.b@x.example":
            fail(classes[number], step / 8, address, is_sure=step % 3 == 0)
    for row in Suppression.objects.all():
        failed = FailureEvidence.objects.filter(key=row.key, failure_class=row.reason)
        assert failed.exists()
        assert row.source_message_id in failed.values_list("message_id", flat=True)
    fail("policy", 20, "innocent@x.example")
    assert not Suppression.objects.filter(key="innocent@x.example").exists()


class TestApply:
    def test_a_sure_answer_suppresses_and_says_so(self, world, record):
        for expected in (
            "Permanent SMTP delivery error when sending to 127.0.0.1:25 (mx.dest.example). "
            "Recipient added to suppression list (too many hard fails)",
            "Permanent SMTP delivery error when sending to 127.0.0.1:25 (mx.dest.example)",
        ):
            [claim] = store(world)
            record(sent(claim, "550 5.1.1 no such user"))
            assert Delivery.objects.get(message_id=claim.id).details == expected
        row = Suppression.objects.get()
        assert (row.key, row.text, row.answer, row.code) == (
            "a@dest.example",
            "too many hard fails",
            "550 5.1.1 no such user",
            "550",
        )

    @pytest.mark.parametrize(
        "answer", ["550 5.7.1 blocked", "554 5.3.4 too big", "421 4.7.0 slow down", "450 4.2.1 x"]
    )
    def test_answers_that_are_not_about_the_person_leave_no_evidence(self, world, record, answer):
        [claim] = store(world)
        record(sent(claim, answer))
        assert not FailureEvidence.objects.exists()

    def test_the_reason_is_in_the_sentence(self, world, config):
        for days in range(3):
            [claim] = store(world)
            results.record([sent(claim, "552 5.2.2 full")], world.directory(), config, NOW + days * DAY)
        assert Delivery.objects.get(message_id=claim.id).details.endswith(
            "(mx.dest.example). Recipient added to suppression list (mailbox is full)"
        )

    def test_a_released_mail_that_arrives_ends_what_failures_made(self, world, record, fail):
        fail(address="a@dest.example")
        [claim] = store(world, is_manual=True)
        record(sent(claim))
        assert Suppression.objects.get().ended_by == "success"
        assert Delivery.objects.get().details.endswith(
            "(mx.dest.example). Recipient removed from suppression list"
        )

    def test_a_success_removes_strikes(self, world, record, fail):
        assert not fail("inactive", address="a@dest.example")
        [claim] = store(world)
        record(sent(claim))
        assert not FailureEvidence.objects.exists()
        assert not fail("inactive", 1, address="a@dest.example")

    def test_success_in_another_stream_ends_the_entries_of_all(self, world, fail, config):
        by_stream = configured(config, address_scope="stream")
        fail(address="a@dest.example", stream="news", config=by_stream)
        FailureEvidence.objects.all().delete()  # a month later
        [claim] = store(world)
        results.record([sent(claim)], world.directory(), by_stream, LATER)
        assert Suppression.objects.get().ended_by == "success"

    def test_a_person_s_wish_is_not_ended_by_a_success(self, world, record):
        recipient = world.server.pk, "a@dest.example"
        entries.put([entries.given_entry(recipient, NOW, keep_until=None, reason=Reason.COMPLAINT)])
        [claim] = store(world, is_manual=True)
        record(sent(claim))
        assert entries.standing(LATER).exists()

    @pytest.mark.parametrize(
        ("name", "reason"), [("expired", "expired"), ("mailbox_full", "mailbox_full"), ("rate", None)]
    )
    def test_used_up_attempts_are_a_strike(self, world, config, name, reason):
        found = Classification(FailureClass(name), True, "a rule", "dest.example")
        for days in range(3):
            [claim] = store(world, attempts=18)
            decision = Decision(
                claim, DeliveryStatus.FAILED, "Used up (18).", effects=(GaveUp(found, "450 no"),)
            )
            results.record([decision], world.directory(), config, NOW + days * DAY)
        assert list(Suppression.objects.values_list("reason", flat=True)) == [reason] * bool(reason)
        sentence = " Added a@dest.example to suppression list because delivery has failed 18 times."
        details = Delivery.objects.get(message_id=claim.id).details
        assert details == "Used up (18)." + sentence * bool(reason)

    @pytest.mark.parametrize(
        ("answer", "name", "reason"),
        [
            ("timed out", "expired", "expired"),
            ("450 try again", "unknown", "expired"),
            ("452 4.2.2 full", "mailbox_full", "mailbox_full"),
            ("421 4.7.0 [TSS04] deferred", "rate", None),
            ("421 4.7.1 blocked", "reputation", None),
            ("an error of ours", "", None),
            (None, "", None),
        ],
    )
    def test_a_lifetime_that_is_over_is_a_strike_by_the_last_answer(
        self, world, config, answer, name, reason
    ):
        for days in range(3):
            [claim] = store(world, attempts=7)
            for text, of_class in [("450 before", "policy"), (answer, name)] if answer else []:
                Delivery.objects.create(
                    message_id=claim.id,
                    status="SoftFail",
                    output=text,
                    failure_class=of_class,
                    created_at=NOW,
                )
            results.record([expired_decision(claim, MESSAGES)], world.directory(), config, NOW + days * DAY)
        assert list(Suppression.objects.values_list("reason", flat=True)) == [reason] * bool(reason)
        row = Delivery.objects.filter(message_id=claim.id, status="HardFail").get()
        assert row.failure_class == (reason or name)
        sentence = ". Added a@dest.example to suppression list because delivery has failed 7 times."
        whole = "The maximum lifetime of this message has been reached" + (sentence if reason else ".")
        assert row.details == whole

    def test_a_transient_answer_is_never_sure(self, world, record):
        found = Classification(FailureClass.BAD_ADDRESS, True, "a rule", "dest.example")
        [claim] = store(world)
        record(Decision(claim, DeliveryStatus.FAILED, "Used up.", effects=(GaveUp(found, "450 4.1.1 no"),)))
        assert not FailureEvidence.objects.get().is_sure

    def test_what_was_not_tried_has_a_class_of_its_own(self, world, record, fail):
        fail(address="a@dest.example")
        recipient = world.server.pk, "a@dest.example"
        stop = entries.stop_for(recipient, entries.find([recipient], NOW))
        [claim] = store(world)
        world.add_webhook()
        record(Decision(claim, DeliveryStatus.FAILED, "suppressed", effects=(Stopped(stop),)))
        assert Delivery.objects.get().failure_class == "suppressed"
        [payload] = events("MessageDeliveryFailed")
        assert (payload["status"], payload["details"]) == ("HardFail", "suppressed")
        assert FailureEvidence.objects.count() == 1

    def test_mail_that_arrives_takes_two_queries_more(self, world, config, django_assert_num_queries):
        claims = store(world, *(f"a{number}@dest.example" for number in range(30)))
        directory = world.directory()
        # the messages; the strikes; deliveries and statuses; the operator's answers
        with django_assert_num_queries(5):
            results.record([sent(claim) for claim in claims], directory, config, LATER)


# 200 go the same way as 10000.
@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.drill)])
def test_a_storm_of_bad_addresses_leaves_no_entry(world, config, count):
    """Gmail answered 550 5.1.1 for good addresses for hours."""
    answer = "550 5.1.1 The email account that you tried to reach does not exist."
    day_before = NOW - DAY
    OperatorAnswers.objects.create(operator="dest.example", since=day_before, answers=50_000, blamed=500)
    directory, size, seen = world.directory(), 50, 0
    for start in range(0, count, size):
        claims = store(world, *(f"a{start + n}@dest.example" for n in range(size)))
        results.record([sent(claim, answer) for claim in claims], directory, config, NOW)
        seen = max(seen, Suppression.objects.filter(state="active").count())
    assert seen == 0
    assert Suppression.objects.filter(state="proposed").count() == count
    for hours in (1.2, 3.2):
        incidents.review(NOW + timedelta(hours=hours))
    assert not Suppression.objects.exists()
    assert not FailureEvidence.objects.exists()
    incident = Incident.objects.get()
    assert (incident.outcome, incident.decided, incident.sample) == ("dropped", count, answer)
