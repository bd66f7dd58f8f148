import re
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction

from postal_server.mail.report import Kind, Part
from postal_server.mail.report import Report as ReadMail
from postal_server.models import Body, Delivery, Message, Report, WebhookRequest
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.preparation import messages
from postal_server.services.preparation.evidence import Found, Original
from postal_server.services.preparation.read_report import ReadReport
from postal_server.services.preparation.report import decide
from postal_server.services.results import record as results
from postal_server.services.results.bounce import Bounced
from postal_server.services.results.report import MOST_KEPT, FoundBy, Reported, linked
from postal_server.services.shared.work import Changes, Decision
from tests.postal_server.services.conftest import NOW, store
from tests.postal_server.services.reports import (
    VACATION,
    arrived,
    group,
    jobs_of,
    path_of,
    status_report,
)

from .conftest import LATER, events

EVENTS = {
    "bounce": "MessageBounced",
    "delayed": "MessageDelayed",
    "challenge": "MessageAutoReplied",
    "autoreply": "MessageAutoReplied",
}
ACTIONS = {
    Kind.BOUNCE: "failed",
    Kind.DELAYED: "delayed",
    Kind.DELIVERED: "delivered",
    Kind.RELAYED: "relayed",
    Kind.EXPANDED: "expanded",
}


@pytest.fixture
def original(world):
    world.add_webhook()
    return store(world)[0].id


@pytest.fixture
def come_back(world, config):
    """Reports that came at once are prepared and recorded; answers with their ids."""

    def call(*mails, path, at=LATER, mail_from=None):
        claims = [arrived(world, raw, path, mail_from) for raw in mails]
        directory = world.directory()
        results.record(messages.prepare(claims, directory, config, NOW), directory, config, at)
        return [claim.id for claim in claims]

    return call


def test_what_a_report_says_is_stored(original, come_back):
    said = group("target@other.example", status="5.2.2", diagnostic="552 5.2.2 full")
    [report] = come_back(status_report(said), path=path_of(original))
    message = Message.objects.get(pk=report)
    assert (message.kind, message.bounce_for_id, message.status) == ("bounce", original, "Processed")
    row = Report.objects.get()
    assert (row.message_id, row.original_id, row.kind, row.found_by) == (
        report,
        original,
        "bounce",
        "return_path",
    )
    assert (row.is_strong, row.is_forwarded, row.is_repeated) == (True, True, False)
    assert (row.address, row.final_recipient) == ("a@dest.example", "target@other.example")
    assert (row.status, row.action, row.reporting_mta) == ("5.2.2", "failed", "mx.dest.example")
    assert (row.recognizer, row.diagnostic, row.failure_class) == (
        "rfc3464",
        "552 5.2.2 full",
        "mailbox_full",
    )


def test_an_unmatched_report_is_stored_under_whom_it_names(world, come_back):
    world.add_webhook()
    [report] = come_back(status_report(group("B@dest.example")), path="s8halm@rp.postal.example.test")
    row = Report.objects.get()
    assert (row.message_id, row.original_id, row.address) == (report, None, "b@dest.example")
    assert events("MessageBounced") == events("MessageDeliveryFailed") == []


def test_the_same_within_a_week_is_stored_and_told_once(original, come_back):
    path = path_of(original)
    first, again = come_back(status_report(), status_report(), path=path)
    [third] = come_back(status_report(), path=path, at=LATER + timedelta(days=6))
    come_back(status_report(group(status="5.2.2")), path=path, at=LATER + timedelta(days=6))
    rows = dict(Report.objects.values_list("message_id", "is_repeated"))
    assert [rows[number] for number in (first, again, third)] == [False, True, True]
    assert len(events("MessageBounced")) == 2
    assert Delivery.objects.filter(message_id=original, status="Bounced").count() == 2
    assert Message.objects.get(pk=again).bounce_for_id == original


def test_after_a_week_it_is_told_again(original, come_back):
    come_back(status_report(), path=path_of(original))
    come_back(status_report(), path=path_of(original), at=LATER + timedelta(days=7, seconds=1))
    assert len(events("MessageBounced")) == 2


def test_a_report_about_two_messages_has_a_delivery_for_each(world, record):
    one, two = store(world, "a@x.example", "b@x.example")
    report = arrived(world, b"x")
    effects = Bounced(one.id, Kind.BOUNCE), Bounced(two.id, Kind.BOUNCE)
    details = linked(Kind.BOUNCE, one.id)
    record(Decision(report, DeliveryStatus.PROCESSED, details, effects=effects))
    found = Delivery.objects.filter(message_id=report.id).order_by("id").values_list("details", flat=True)
    assert list(found) == [details, linked(Kind.BOUNCE, two.id)]


def test_a_message_that_is_gone_meanwhile_leaves_the_report_alone(world, record):
    report = arrived(world, b"x")
    effect = Bounced(10**6, Kind.BOUNCE)
    changes = Changes(kind="bounce", bounce_for_id=10**6)
    record(Decision(report, DeliveryStatus.PROCESSED, "x", changes=changes, effects=(effect,)))
    assert Report.objects.get().original_id is None


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_the_same_report_tell_it_once(world, config):
    """The second waits for the first, and finds what that has stored."""
    if not connection.features.has_select_for_update:
        pytest.skip("one writer at a time")
    world.add_webhook()
    [original] = store(world)
    directory = world.directory()
    batches = [
        messages.prepare([arrived(world, status_report(), path_of(original.id))], directory, config, NOW)
        for _ in range(2)
    ]
    second = threading.Thread(target=_record, args=(batches[1], directory, config))
    with transaction.atomic():
        results.record(batches[0], directory, config, LATER)
        second.start()
        second.join(0.3)
        assert second.is_alive()
    second.join(10)
    assert sorted(Report.objects.values_list("is_repeated", flat=True)) == [False, True]
    assert len(events("MessageBounced")) == 1


def _record(decisions, directory, config):
    with transaction.atomic():
        results.record(decisions, directory, config, LATER)
    connection.close()


# Floods


def test_twenty_reports_about_a_message_are_kept_and_the_others_counted(original, come_back):
    path = path_of(original)
    mails = [status_report(group(status=f"5.1.{number}")) for number in range(30)]
    kept = come_back(*mails[:15], path=path)
    kept += come_back(*mails[15:25], path=path)[:5]
    come_back(*mails[25:], path=path)
    assert sorted(Report.objects.values_list("message_id", flat=True)) == sorted(kept)
    assert sorted(Message.objects.filter(scope="incoming").values_list("pk", flat=True)) == sorted(kept)
    assert Report.objects.order_by("id").last().surplus == 10
    assert len(events("MessageBounced")) == MOST_KEPT
    assert set(Body.objects.values_list("pk", flat=True)) == {original, *kept}
    assert set(Delivery.objects.values_list("message_id", flat=True)) == {original, *kept}


def test_a_text_that_another_message_has_stays(world, config, original):
    Report.objects.bulk_create(
        Report(server_id=1, message_id=0, original_id=original, kind="bounce", is_strong=True, created_at=NOW)
        for _ in range(MOST_KEPT)
    )
    claims = store(
        world,
        path_of(original),
        "s8halm@rp.postal.example.test",
        raw=status_report(),
        mail_from=None,
        scope=Scope.INCOMING,
        is_bounce=True,
    )
    directory = world.directory()
    results.record(messages.prepare(claims, directory, config, NOW), directory, config, LATER)
    assert Message.objects.filter(pk__in=[claim.id for claim in claims]).count() == 1
    assert Body.objects.filter(pk=claims[0].id).exists()


def test_forged_reports_by_weak_evidence_keep_no_real_one_from_being_heard(original, come_back):
    returned = "Message-ID: <x@rp.postal.example.test>\n"
    forged = [status_report(group(status=f"5.2.{number}"), returned=returned) for number in range(25)]
    come_back(*forged, path="s8halm@rp.postal.example.test", mail_from="mallory@dest.example")
    assert Report.objects.count() == MOST_KEPT
    come_back(status_report(), path=path_of(original))
    assert Report.objects.filter(is_strong=True, is_repeated=False).count() == 1


def test_a_failure_is_heard_after_any_number_of_delays(original, come_back):
    delay = status_report(group(action="delayed", status="4.4.1"))
    come_back(*[delay] * (MOST_KEPT + 1), path=path_of(original))
    assert Report.objects.count() == MOST_KEPT
    come_back(status_report(group(status="4.4.7")), path=path_of(original))
    assert Message.objects.get(pk=original).status == "Bounced"
    assert len(events("MessageBounced")) == 1


# Cost


def test_queries_do_not_grow_with_the_batch(world, config, django_assert_max_num_queries):
    world.add_webhook()
    claims = store(world, *[f"a{number}@x.example" for number in range(20)])
    reports = [
        arrived(world, raw, path_of(claim.id))
        for number, claim in enumerate(claims)
        for raw in [(status_report(group(f"a{number}@x.example")) if number % 2 else VACATION)]
    ]
    directory = world.directory()
    # messages and texts; those that reports are about
    with django_assert_max_num_queries(3):
        decisions = messages.prepare(reports, directory, config, NOW)
    with django_assert_max_num_queries(18):
        results.record(decisions, directory, config, LATER)
    assert len(events("MessageBounced")) == 10


def test_no_query_without_reports(world, config, django_assert_num_queries):
    [claim] = store(world, "in@example.test", scope=Scope.INCOMING)
    directory = world.directory()
    decision = Decision(claim, DeliveryStatus.PROCESSED, "x")
    with django_assert_num_queries(3):  # messages, deliveries, statuses
        results.record([decision], directory, config, LATER)


def test_effects_say_by_what_they_are_known():
    assert Reported(None, Kind.REPLY).found_by is FoundBy.NOTHING
    assert Reported(None, Kind.REPLY).part == Part()


# The page about bounces


def test_the_page_lists_each_kind_with_its_event():
    """Those events that a batch with a report of that kind emits."""
    page = (Path(__file__).parents[4] / "docs/bounces.md").read_text("utf-8")
    section = page.partition("\n## What follows\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*?) \|$", section, re.MULTILINE))
    assert set(rows) == {kind.value for kind in Kind}
    assert {kind for kind, event in rows.items() if event != "none"} == set(EVENTS)
    assert all(event in rows[kind] for kind, event in EVENTS.items())


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_the_event_that_the_page_says(world, config, original, kind):
    report = ReadMail(kind, (Part("a@dest.example", action=ACTIONS.get(kind, "")),))
    claim = arrived(world, b"x", path_of(original))
    [job] = jobs_of(world, [claim])
    found = Found(FoundBy.RETURN_PATH, (Original(original, "a@dest.example"),))
    recognized = decide(ReadReport(job, report, found), world.directory().ours)
    results.record([recognized.decision], world.directory(), config, LATER)
    told = set(WebhookRequest.objects.values_list("event", flat=True))
    assert told == ({EVENTS[kind.value]} if kind.value in EVENTS else set())
