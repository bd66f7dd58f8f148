from datetime import timedelta

import pytest

from postal_server.models import Message
from postal_server.services.operations import reports
from postal_server.services.preparation import messages
from postal_server.services.results import record as results
from postal_server.services.shared.token import message_token
from tests.each import each
from tests.postal_server.services.conftest import NOW, store
from tests.postal_server.services.reports import VACATION, arrived, group, path_of, status_report


@pytest.fixture
def came(world, config):
    """A bounce and an automatic reply about one message, and a bounce about none; their ids."""
    [original] = store(world)
    claims = [
        arrived(world, status_report(), path_of(original.id), subject="Undelivered: Hi"),
        arrived(world, VACATION, path_of(original.id), mail_from="a@dest.example", subject="Away"),
        arrived(world, status_report(group("z@dest.example"))),
    ]
    directory = world.directory()
    results.record(messages.prepare(claims, directory, config, NOW), directory, config, NOW)
    return [original.id, *(claim.id for claim in claims)]


def found(**values):
    rows = reports.find(Message.objects.all(), now=NOW, **values)
    return sorted(rows.values_list("pk", flat=True))


def test_only_reports_are_found(came):
    assert found() == came[1:]


def test_by_kind_server_and_age(world, came):
    assert found(kind="bounce") == [came[1], came[3]]
    assert found(kind="bounce", server_id=world.server.pk) == [came[1], came[3]]
    assert found(server_id=10**6) == []
    Message.objects.filter(pk=came[1]).update(created_at=NOW - timedelta(days=8))
    assert found(since=NOW - timedelta(days=7)) == came[2:]


@each(
    "term, which",
    [
        ("A@dest.example", [1, 2]),
        ("z@dest.example", [3]),
        ("{path}", [1, 2]),
        ("s8halm@rp.postal.example.test", [3]),
        ("<x@rp.postal.example.test>", [1, 2]),
        ("report@dest.example", [1, 2, 3]),
        ("{token}", [1, 2]),
        ("{report_token}", [1]),
        ("{id}", [1, 2]),
        ("undelivered", [1]),
        ("nothing like it", []),
        ("nothing\0", []),
        ("9" * 30, []),
    ],
)
def test_by_what_a_person_has_in_hand(came, term, which):
    term = term.format(
        path=path_of(came[0]).upper(),
        token=message_token(came[0]),
        report_token=message_token(came[1]),
        id=came[0],
    )
    assert found(search=term) == [came[number] for number in which]


def test_what_came_back_about_a_message(came):
    assert [row.kind for row in reports.about(came[0])] == ["bounce", "autoreply"]
    assert {number: len(rows) for number, rows in reports.said_by(came).items()} == dict.fromkeys(came[1:], 1)
