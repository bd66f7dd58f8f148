import base64
import json
from pathlib import Path

import pytest

from postal_server.mail.report import Kind
from postal_server.models import HTTPEndpoint, ImportedToken, Route
from postal_server.rules.failure_class import FailureClass
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.preparation import delivery_status, evidence, messages, report
from postal_server.services.results.arrival import Arrived
from postal_server.services.results.autoreply import AutoReplied
from postal_server.services.results.bounce import Bounced
from postal_server.services.results.delay import Delayed
from postal_server.services.results.report import Reported, linked
from postal_server.services.shared.work import Decision, Prepared
from tests.each import each
from tests.postal_server.services.conftest import NOW, store
from tests.postal_server.services.reports import (
    CHALLENGE,
    JUNK,
    REPLY,
    VACATION,
    arrived,
    feedback,
    group,
    path_of,
    status_report,
    token_field,
)


@pytest.fixture
def prepare(world, config):
    """The decision about a report, or what is sent of it."""

    def call(raw, path, **values):
        claim = arrived(world, raw, path, **values)
        [prepared] = messages.prepare([claim], world.directory(), config, NOW)
        return prepared

    return call


@pytest.fixture
def original(world):
    return store(world)[0].id


FROM = {"mail_from": "a@dest.example"}


@each(
    "raw, values, kind, effect",
    [
        (status_report(), {}, Kind.BOUNCE, Bounced),
        (status_report(group(action="delayed", status="4.4.1")), {}, Kind.DELAYED, Delayed),
        (status_report(group(action="delivered", status="2.0.0")), {}, Kind.DELIVERED, Arrived),
        (status_report(group(action="relayed", status="2.0.0")), {}, Kind.RELAYED, Reported),
        (status_report(group(action="expanded", status="2.0.0")), {}, Kind.EXPANDED, Reported),
        (VACATION, {}, Kind.AUTOREPLY, AutoReplied),
        (CHALLENGE, {}, Kind.CHALLENGE, AutoReplied),
        (feedback("abuse"), FROM, Kind.COMPLAINT, Reported),
        (feedback("opt-out"), FROM, Kind.UNSUBSCRIBE, Reported),
        (feedback("not-spam"), FROM, Kind.NOT_SPAM, Reported),
        (feedback("auth-failure"), FROM, Kind.AUTH_FAILURE, Reported),
        (REPLY, FROM, Kind.REPLY, Reported),
        (JUNK, {}, Kind.UNRECOGNISED, Reported),
    ],
)
def test_each_kind_has_its_effect_and_is_noted(prepare, original, raw, values, kind, effect):
    decision = prepare(raw, path_of(original), **values)
    assert isinstance(decision, Decision)
    assert (decision.status, decision.details) == (DeliveryStatus.PROCESSED, linked(kind, original))
    assert (decision.changes.kind, decision.changes.bounce_for_id) == (kind.value, original)
    [found] = decision.effects
    assert (type(found), found.original_id, found.kind, found.is_strong) == (effect, original, kind, True)


def test_the_sentence_about_a_bounce_is_postals(original):
    assert linked(Kind.BOUNCE, 7) == "This has been detected as a bounce message for <msg:7>."


def test_unmatched_reports_are_kept_with_the_reason(prepare, original):
    decision = prepare(status_report(), path_of(10**6))
    assert (decision.status, decision.details) == (
        DeliveryStatus.PROCESSED,
        f"Kept: no outgoing message could be found for it. {evidence.NOT_STORED}",
    )
    assert (decision.changes.kind, decision.changes.bounce_for_id) == ("bounce", None)
    [noted] = decision.effects
    assert (type(noted), noted.original_id, noted.part.status) == (Reported, None, "5.1.1")
    decision = prepare(b"\xff\0\r\n", "s8halm@rp.postal.example.test")
    assert (decision.details, decision.changes.kind) == (report.KEPT, "unrecognised")


@each(
    "raw, values, names_message, is_for_route",
    [
        (REPLY, FROM, True, True),
        (REPLY, FROM, False, True),
        (JUNK, {}, True, True),
        (status_report(), {}, True, False),
        (status_report(), {}, False, True),
        (VACATION, {}, True, False),
    ],
)
def test_the_route_of_return_paths_gets_replies_and_what_is_unmatched(
    world, prepare, original, raw, values, names_message, is_for_route
):
    endpoint = HTTPEndpoint.objects.create(server=world.server, name="in", url="http://x.example/")
    route = Route.objects.create(server=world.server, name="__returnpath__", http_endpoint=endpoint)
    path = path_of(original) if names_message else "s8halm@rp.postal.example.test"
    found = prepare(
        raw, path, route_id=route.pk, endpoint_type="HTTPEndpoint", endpoint_id=endpoint.pk, **values
    )
    assert isinstance(found, Prepared) is is_for_route
    assert found.changes.kind
    assert found.changes.bounce_for_id == (original if names_message else None)


# Whose failure it is


@pytest.fixture
def effects(prepare):
    return lambda raw, path, **values: prepare(raw, path, **values).effects


def test_each_recipient_is_judged_by_its_own_group(effects, original):
    groups = group("b@dest.example"), group(status="5.2.2")
    [bounced] = effects(status_report(*groups), path_of(original))
    assert bounced.part.status == "5.2.2"
    assert (bounced.classification.name, bounced.is_forwarded) == (FailureClass.MAILBOX_FULL, False)
    groups = group("b@dest.example"), group(action="delayed", status="4.4.1")
    [delayed] = effects(status_report(*groups), path_of(original))
    assert (type(delayed), delayed.kind) == (Delayed, Kind.DELAYED)


def test_groups_that_contradict_each_other_count_each(effects, original):
    groups = group(), group(action="delivered", status="2.0.0")
    found = effects(status_report(*groups), path_of(original))
    assert [item.kind for item in found] == [Kind.BOUNCE, Kind.DELIVERED]


def test_two_messages_of_one_report_have_each_their_group(world, effects):
    one, two = (claim.id for claim in store(world, "a@dest.example", "b@dest.example"))
    groups = group(), group("b@dest.example", status="5.2.2")
    raw = status_report(*groups, returned="Message-ID: <x@rp.postal.example.test>\n")
    found = effects(raw, "s8halm@rp.postal.example.test")
    assert [(item.original_id, item.part.status) for item in found] == [(one, "5.1.1"), (two, "5.2.2")]


def test_a_report_about_many_messages_has_its_groups_read_once(world, effects, monkeypatch):
    addresses = [f"a{number}@dest.example" for number in range(20)]
    store(world, *addresses)
    calls = []
    real = delivery_status.reported_keys
    monkeypatch.setattr(delivery_status, "reported_keys", lambda part: calls.append(part) or real(part))
    raw = status_report(*map(group, addresses), returned="Message-ID: <x@rp.postal.example.test>\n")
    assert len(effects(raw, "s8halm@rp.postal.example.test")) == len(calls) == 20


@each(
    "groups, is_forwarded",
    [
        ([group("target@other.example")], True),
        ([group("target@other.example", original="A@dest.example")], True),
        ([group("target@mx.dest.example", original="A@dest.example")], False),
        ([group("a@other.example", original="A@dest.example")], False),
        ([group(f"{name}@dest.example", original="A@dest.example") for name in ("b", "c")], True),
        ([group("target@other.example", original="x@other.example")], True),
        ([group("b@other.example", "delivered", "2.0.0"), group("c@other.example")], True),
        ([group(None)], False),
        ([group("a@DEST.example")], False),
    ],
)
def test_a_failure_behind_the_recipient_is_forwarded(effects, original, groups, is_forwarded):
    [bounced] = effects(status_report(*groups), path_of(original))
    assert (type(bounced), bounced.is_forwarded) == (Bounced, is_forwarded)


def test_a_bounce_from_somebody_is_weak_and_feedback_is_not(effects, original):
    [bounced] = effects(status_report(), path_of(original), mail_from="mallory@dest.example")
    assert not bounced.is_strong
    [complained] = effects(feedback(), path_of(original), mail_from="fbl@dest.example")
    assert complained.is_strong


def test_a_message_id_is_weak_evidence(effects, original):
    """Every recipient of the mail knows it."""
    returned = "Message-ID: <x@rp.postal.example.test>\n"
    [bounced] = effects(status_report(returned=returned), "s8halm@rp.postal.example.test")
    assert (bounced.original_id, bounced.is_strong) == (original, False)


def test_a_token_deeper_in_a_report_counts_for_nothing(world, effects, original):
    [other] = store(world, "b@dest.example")
    inner = "Content-Type: text/plain\n\n" + token_field(other.id)
    [bounced] = effects(status_report(returned=inner), path_of(original))
    assert bounced.original_id == original


def test_recorded_reports_match_as_in_postal(world, effects, original):
    """Of Postal's three recorded reports, the one without a token matches nothing."""
    cases = json.loads((Path(__file__).parents[3] / "corpus/wire/bounces.json").read_text())
    for case in cases:
        if case["token"]:
            ImportedToken.objects.create(token=case["token"], server_id=world.server.pk, message_id=original)
        found = effects(base64.b64decode(case["data"]), "s8halm@rp.postal.example.test")
        assert (found[0].original_id is not None) is bool(case["token"]), case["name"]


def test_no_query_without_reports(world, config, django_assert_num_queries):
    claims = [*store(world), *store(world, "in@example.test", scope=Scope.INCOMING)]
    directory = world.directory()
    with django_assert_num_queries(0):
        assert report.recognize([], directory, config, NOW) == {}
    assert claims
