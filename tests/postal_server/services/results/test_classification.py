from dataclasses import replace
from datetime import timedelta

import pytest

from postal_server.mail.report import Part, read
from postal_server.models import Delivery, IPAddress, IPPool, Message, Server
from postal_server.rules import outcome
from postal_server.rules.classification import Classification, Ours
from postal_server.rules.failure_class import FailureClass, Stage
from postal_server.rules.status import DeliveryStatus
from postal_server.services.preparation import messages
from postal_server.services.results import classification
from postal_server.services.results.batch import Batch, Entry
from postal_server.services.results.classification import (
    GaveUp,
    LifetimeOver,
    classify_outcome,
    classify_part,
)
from postal_server.services.results.suppression_entries import given_entry, put
from postal_server.services.shared.work import Decision
from postal_server.wire import message as wire
from tests.each import each
from tests.postal_server.mail.reports import samples
from tests.postal_server.services.conftest import NOW, PEER, sent, store

from .conftest import LATER, events

FAILED = "MessageDeliveryFailed"

UNKNOWN_USER = "550 5.1.1 <a@dest.example>: Recipient address rejected: User unknown"


NEVER_AGAIN = {FailureClass.BAD_ADDRESS, FailureClass.BAD_DOMAIN, FailureClass.INACTIVE}


def judged():
    """The notices of the corpus that say whether their recipient is gone: name, class and truth."""
    for folder in ("dsn", "shapes"):
        for name, raw, wanted in samples(folder):
            if "is_gone" in wanted:
                [part] = read(raw, wanted["reverse_path"]).parts
                yield name, classify_part(part, Ours(frozenset(["198.51.100.9"]))), wanted["is_gone"]


def test_reports_of_many_systems_stop_mail_to_those_who_are_gone_and_to_nobody_else():
    missed, innocent = [], []
    for name, found, is_gone in judged():
        if is_gone and found.name not in NEVER_AGAIN:
            missed.append((name, found))
        if (
            not is_gone
            and found.name in NEVER_AGAIN
            and found.is_sure
            and found.name != FailureClass.INACTIVE
        ):
            innocent.append((name, found))
    assert (missed, innocent) == ([], [])


def test_a_failure_is_classified_on_its_delivery(world, record):
    record(sent(*store(world), UNKNOWN_USER))
    row = Delivery.objects.get()
    assert (row.failure_class, row.stage, row.operator, row.is_sure) == (
        "bad_address",
        "rcpt",
        "dest.example",
        True,
    )
    assert row.rule
    assert row.diagnostic is None  # the output has all of it


def test_webhooks_and_the_api_show_the_class(world, record):
    world.add_webhook()
    [failing, fine] = store(world, "a@dest.example"), store(world, "b@dest.example")
    record(sent(*failing, UNKNOWN_USER), sent(*fine))
    [failed], [arrived] = events("MessageDeliveryFailed"), events("MessageSent")
    assert list(failed)[-1] == "classification"
    assert (failed["classification"]["class"], failed["classification"]["sure"]) == ("bad_address", True)
    assert arrived["classification"] is None
    keep_until = (LATER + timedelta(days=30)).timestamp()
    entry = {"scope": "", "reason": "bad_address", "keep_until": keep_until}
    assert failed["classification"]["suppressed"] == entry
    [shown] = wire.deliveries(Delivery.objects.filter(status="HardFail"))
    assert shown["classification"] == {**failed["classification"], "suppressed": None}


@pytest.mark.parametrize(("suppressed_as", "event"), [("held", "MessageHeld"), ("failed", FAILED)])
def test_webhooks_show_the_entry_that_stops_a_message(world, config, record, suppressed_as, event):
    world.add_webhook()
    Server.objects.update(suppressed_as=suppressed_as)
    put([given_entry((world.server.pk, "a@dest.example"), NOW, keep_until=None)])
    record(*messages.prepare(store(world), world.directory(), config, NOW))
    [payload] = events(event)
    entry = {"scope": "", "reason": "manual", "keep_until": None}
    assert payload["classification"]["class"] == "suppressed"
    assert payload["classification"]["suppressed"] == entry
    assert payload.get("suppression", entry) == entry
    if suppressed_as == "held":
        assert list(payload)[-3:] == ["hold_reason", "hold_expires_at", "suppression"]
        assert payload["hold_reason"] == "suppressed"
        assert payload["hold_expires_at"] > LATER.timestamp()


def test_a_deferral_is_never_sure(world, record):
    record(sent(*store(world), "450 4.1.1 <a@dest.example>: User unknown"))
    row = Delivery.objects.get()
    assert (row.failure_class, row.is_sure) == ("bad_address", False)


def test_mail_that_was_taken_has_no_class(world, record):
    record(sent(*store(world)))
    assert Delivery.objects.get().failure_class == ""


def test_a_long_answer_is_kept_whole_beside_the_output(world, record):
    answer = f"554 5.7.1 {'x' * 300} blocked using bl.example {'y' * 3000}"
    record(sent(*store(world), answer))
    row = Delivery.objects.get()
    assert row.output == answer[:250]
    assert row.diagnostic == answer[:2000]
    assert row.failure_class == "reputation"


def test_a_refusal_that_names_our_address_is_about_us(world, record):
    pool = IPPool.objects.create(name="pool")
    IPAddress.objects.create(ip_pool=pool, ipv4="192.0.2.9", hostname="out.example.test")
    for text in ("550 5.1.1 192.0.2.9 is denied", "550 mail from out.example.test is not accepted"):
        record(sent(*store(world), text))
        assert Delivery.objects.last().failure_class == "reputation", text


def test_what_was_given_up_has_the_class_of_the_last_answer(world, record):
    [claim] = store(world)
    full = Classification(FailureClass.MAILBOX_FULL, False, "rule", "dest.example", Stage.RCPT)
    effects = (GaveUp(full, "452 4.2.2 over quota"),)
    record(Decision(claim, DeliveryStatus.FAILED, "Maximum...", effects=effects))
    row = Delivery.objects.get()
    assert (row.failure_class, row.stage, row.diagnostic) == ("mailbox_full", "rcpt", "452 4.2.2 over quota")


@pytest.mark.parametrize("count", [1, 20])
def test_lifetimes_that_are_over_take_one_query(world, config, count, django_assert_num_queries):
    claims = store(world, *(f"a{number}@dest.example" for number in range(count)))
    decisions = [Decision(claim, DeliveryStatus.FAILED, "", effects=(LifetimeOver(),)) for claim in claims]
    rows = [Message(id=claim.id, rcpt_to="a@dest.example") for claim in claims]
    entries = [
        Entry(decision, row, decision.status, "", Delivery(message_id=row.id))
        for decision, row in zip(decisions, rows, strict=True)
    ]
    batch = Batch(decisions, entries, world.directory(), config, NOW)
    with django_assert_num_queries(1):
        classification.apply(batch)


@each(
    "result, name",
    [
        (outcome.unreachable("d.example", is_permanent=True), FailureClass.BAD_DOMAIN),
        (outcome.unreachable("d.example", tried=["mx"], errors=["Connection refused"]), FailureClass.EXPIRED),
        (outcome.unreachable("d.example", is_dns_broken=True), FailureClass.INFRASTRUCTURE),
        (outcome.unreachable("d.example", errors=["DANE: no"], policy="DANE"), FailureClass.INFRASTRUCTURE),
        (
            outcome.unreachable("d.example", errors=["refused", "554 5.7.1 blocked using bl.example"]),
            FailureClass.REPUTATION,
        ),
        (outcome.unreachable("d.example", errors=["550 5.1.1 user unknown"]), FailureClass.POLICY),
        (outcome.interrupted("timed out", peer=PEER, seconds=1.0), FailureClass.EXPIRED),
    ],
)
def test_where_no_session_was_had_the_attempt_says_why(result, name):
    found = classify_outcome(result, "a@d.example", Ours())
    assert found is not None
    assert found.name is name


def test_an_endpoint_over_http_has_no_class():
    result = outcome.outcome_of_response(500, "user unknown", url="https://x.example", seconds=1.0)
    assert classify_outcome(result, "a@d.example", Ours()) is None


PART = Part(
    "a@dest.example", None, "failed", "5.1.1", "smtp; 550 5.1.1 User unknown", "mx.dest.example", "report"
)


@each(
    "changes, name, is_sure",
    [
        ({}, FailureClass.BAD_ADDRESS, True),
        ({"diagnostic": None}, FailureClass.BAD_ADDRESS, True),
        ({"diagnostic": "smtp; 550 5.7.1 blocked using bl.example"}, FailureClass.REPUTATION, True),
        ({"status": "4.2.2", "diagnostic": None}, FailureClass.MAILBOX_FULL, False),
        (
            {"status": "5.0.0", "diagnostic": "smtp; 550 zzz", "stage": "rcpt"},
            FailureClass.BAD_ADDRESS,
            False,
        ),
    ],
)
def test_a_report_is_classified_as_the_answer_that_it_quotes(changes, name, is_sure):
    found = classify_part(replace(PART, **changes), Ours())
    assert (found.name, found.is_sure, found.operator) == (name, is_sure, "dest.example")


@each(
    "remote_mta, operator",
    [
        ("gmail-smtp-in.l.google.com. (192.0.2.26, the server for the domain dest.example.)", "google.com"),
        ("MX1.Dest.Example", "dest.example"),
        ("[198.51.100.5]", "198.51.100.5"),
        ("<mx.dest.example>", "dest.example"),
        (f"{'a' * 250}.example", ""),
        ("\0\udc80", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_operator_of_a_report_is_that_of_the_host_it_names(remote_mta, operator):
    assert classify_part(replace(PART, remote_mta=remote_mta), Ours()).operator == operator
