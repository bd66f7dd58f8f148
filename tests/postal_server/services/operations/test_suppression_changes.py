import pytest

from postal_server.models import Suppression
from postal_server.services.operations import suppression_changes as changes
from postal_server.services.results.suppression_entries import given_entry
from tests.postal_server.services.conftest import NOW
from tests.postal_server.services.results.conftest import events

ANN, BOB = "ann@x.example", "bob@x.example"


@pytest.fixture
def context(world, config):
    world.add_webhook()
    return world.context(config)


def told(name: str) -> list[tuple[str, str | None]]:
    """The addresses of these events, and by whom their entries ended."""
    return [
        (payload["suppression"]["address"], payload["suppression"]["ended_by"]) for payload in events(name)
    ]


def rows(world, *addresses: str) -> list[Suppression]:
    return [given_entry((world.server.pk, address), NOW, keep_until=None) for address in addresses]


def test_what_a_person_adds_and_removes(world, context):
    changes.add(rows(world, ANN, BOB), context)
    assert told("SuppressionAdded") == [(ANN, None), (BOB, None)]
    [ended] = changes.remove([(world.server.pk, "ANN@x.example")], context, "command line")
    assert (ended.address, ended.ended_at) == (ANN, NOW)
    assert told("SuppressionRemoved") == [(ANN, "command line")]
    assert changes.remove([(world.server.pk, ANN)], context, "command line") == []


def test_what_a_person_saves_and_ends(world, context):
    [row] = rows(world, ANN)
    row.save()
    changes.saved(row, context)
    assert changes.end([row], context, "administration") == 1
    assert changes.end([row], context, "administration") == 0
    assert Suppression.objects.get().ended_by == "administration"
    assert (told("SuppressionAdded"), told("SuppressionRemoved")) == (
        [(ANN, None)],
        [(ANN, "administration")],
    )
