from postal_server.mail.report import read
from postal_server.models import Body, ImportedToken, Message, Server
from postal_server.rules.status import Scope
from postal_server.services.preparation import evidence
from postal_server.services.results.report import FoundBy
from postal_server.services.shared.token import message_token
from tests.postal_server.services.conftest import NOW, store
from tests.postal_server.services.reports import (
    POSTALS_PATH,
    arrived,
    group,
    jobs_of,
    path_of,
    status_report,
    token_field,
)

import pytest  # isort: skip


@pytest.fixture
def find(world, config):
    """What a report is about."""

    def call(raw, path=POSTALS_PATH, **values):
        [job] = jobs_of(world, [arrived(world, raw, path, **values)])
        report = read(job.body, job.message.mail_from)
        [found] = evidence.find([(job, report)], world.directory(), config, NOW)
        return found

    return call


def ids(found):
    return [original.id for original in found.originals]


@pytest.fixture
def three(world):
    return [claim.id for claim in store(world, "a@dest.example", "b@dest.example", "c@dest.example")]


def test_the_strongest_evidence_counts_alone(find, three):
    one, two, three_ = three
    returned = f"{token_field(three_)}Message-ID: <x@rp.postal.example.test>\n"
    raw = status_report(returned=returned, envelope_id=message_token(two))
    found = find(raw, path_of(one))
    assert (found.found_by, ids(found)) == (FoundBy.RETURN_PATH, [one])
    found = find(raw)
    assert (found.found_by, ids(found)) == (FoundBy.ENVELOPE_ID, [two])
    found = find(status_report(returned=returned))
    assert (found.found_by, ids(found)) == (FoundBy.TOKEN, [three_])
    found = find(status_report(returned="Message-ID: <x@rp.postal.example.test>\n"))
    assert (found.found_by, ids(found)) == (FoundBy.MESSAGE_ID, [one])  # the one that it reports on


@pytest.mark.parametrize(
    "form",
    [
        "bounces+s8halm-{}@rp.postal.example.test",
        "s8halm+{}@rp.postal.example.test",
        "BOUNCES+s8halm-{}@psrp.example.test",
    ],
)
def test_any_form_of_return_path_names_its_message(find, three, form):
    found = find(b"Subject: x\r\n\r\n", form.format(message_token(three[1])))
    assert ids(found) == [three[1]]


def test_the_token_of_an_imported_message(world, find, three):
    ImportedToken.objects.create(token="wBx9aLnQ44yKFCOw", server_id=world.server.pk, message_id=three[0])
    found = find(status_report(returned="X-Postal-MsgID: wBx9aLnQ44yKFCOw\n"))
    assert (found.found_by, ids(found)) == (FoundBy.TOKEN, [three[0]])


def test_a_message_id_finds_those_recipients_that_are_reported(find, three):
    groups = group("B@DEST.example"), group("other@dest.example", original="c@dest.example")
    found = find(status_report(*groups, returned="Message-ID: <x@rp.postal.example.test>\n"))
    assert ids(found) == three[1:]


@pytest.mark.parametrize(
    "raw",
    [
        status_report(),
        status_report(returned="Message-ID: <other@example.test>\n"),
        status_report(group("other@dest.example"), returned="Message-ID: <x@rp.postal.example.test>\n"),
        status_report(returned="X-Postal-MsgID: junk\n"),
        b"",
    ],
)
def test_a_recipient_or_a_message_id_alone_is_nothing(find, three, raw):
    assert find(raw) == evidence.Found()


def test_reasons_why_a_named_message_does_not_count(world, find, three):
    other = Server.objects.create(organization=world.organization, name="O", permalink="o")
    [foreign] = store(world, server=other)
    [incoming] = store(world, scope=Scope.INCOMING)
    for number, why in (
        (foreign.id, evidence.OF_ANOTHER_SERVER),
        (incoming.id, evidence.OF_INCOMING_MAIL),
        (10**6, evidence.NOT_STORED),
    ):
        returned = f"{token_field(number)}Message-ID: <nobody@knows.example>\n"
        expected = evidence.Found(why_not=why)
        assert find(status_report(returned=returned)) == expected
        assert find(status_report(envelope_id=message_token(number))) == expected
        # The return path is not doubted, whatever else the report says.
        assert find(status_report(returned=token_field(three[0])), path_of(number)) == expected


def test_a_message_whose_text_was_purged_is_found(find, three):
    Message.objects.update(body_id=None)
    Body.objects.all().delete()
    assert ids(find(status_report(), path_of(three[0]))) == [three[0]]


def test_a_batch_takes_three_queries(world, config, three, django_assert_num_queries):
    raws = [status_report(returned=token_field(three[0]))] * 5 + [
        status_report(returned="X-Postal-MsgID: unknown1\n"),
        status_report(returned="Message-ID: <x@rp.postal.example.test>\n"),
    ]
    jobs = jobs_of(world, [arrived(world, raw) for raw in raws])
    reports = [(job, read(job.body, None)) for job in jobs]
    directory = world.directory()
    with django_assert_num_queries(3):
        found = evidence.find(reports, directory, config, NOW)
    assert [len(item.originals) for item in found] == [1, 1, 1, 1, 1, 0, 1]


def test_many_messages_with_one_message_id_cost_each_report_little(world, config, three, monkeypatch):
    """What is compared grows with the messages, not with their number times that of the reports."""
    calls = []
    real = evidence.suppression_key
    monkeypatch.setattr(evidence, "suppression_key", lambda address: calls.append(address) or real(address))
    raw = status_report(returned="Message-ID: <x@rp.postal.example.test>\n")
    jobs = jobs_of(world, [arrived(world, raw) for _ in range(20)])
    found = evidence.find([(job, read(job.body, None)) for job in jobs], world.directory(), config, NOW)
    assert [ids(each) for each in found] == [three[:1]] * 20
    assert len(calls) == 20 + len(three)


def test_messages_with_one_message_id_are_bounded(find, three, monkeypatch):
    monkeypatch.setattr(evidence, "MOST_ROWS", 2)
    groups = [group(f"{letter}@dest.example") for letter in "abc"]
    found = find(status_report(*groups, returned="Message-ID: <x@rp.postal.example.test>\n"))
    assert ids(found) == three[:2]
