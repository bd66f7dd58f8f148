from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from postal_server.models import Counter, Server, TrackDomain
from postal_server.rules.status import CredentialType, RouteMode
from postal_server.services.shared import credential
from postal_server.services.shared.loader import from_row, load
from tests.postal_server.services.conftest import NOW


@dataclass(frozen=True)
class Entry:
    id: int
    name: str
    is_new: bool = False


class TestFromRow:
    def test_fields_are_the_columns_of_their_names(self):
        row = SimpleNamespace(id=7, name="seven", is_new=True, other="not asked for")
        assert from_row(Entry, row) == Entry(7, "seven", is_new=True)

    def test_special_values_come_before_columns(self):
        row = SimpleNamespace(id=7, name="seven")
        assert from_row(Entry, row, name="SEVEN", is_new=True) == Entry(7, "SEVEN", is_new=True)

    def test_a_field_without_a_column_is_a_mistake_whatever_its_default(self):
        with pytest.raises(AttributeError, match="is_new"):
            from_row(Entry, SimpleNamespace(id=7, name="seven"))


def test_it_is_read_with_one_query_a_table(world, django_assert_num_queries):
    for index in range(3):
        world.add_webhook(name=str(index))
    with django_assert_num_queries(15):
        load()


def test_its_version_is_the_counter(db):
    Counter.objects.update_or_create(name="directory", defaults={"value": 7})
    assert load().version == 7


def test_deleted_servers_are_left_out_with_all_they_have(world):
    _, key = credential.create(world.server, CredentialType.API, "api")
    Server.objects.update(deleted_at=NOW)
    directory = load()
    assert not directory.servers
    assert not directory.domains
    assert directory.api_credential(key) is None


def test_suspension_comes_from_the_server_or_its_organization(world):
    assert not load().servers[world.server.pk].is_suspended
    world.organization.suspended_at = NOW
    world.organization.save()
    assert load().servers[world.server.pk].is_suspended


def test_the_main_endpoint_comes_first(route):
    entry = load().routes[route.pk]
    assert [type for type, _ in entry.endpoints] == ["HTTPEndpoint", "SMTPEndpoint", "AddressEndpoint"]
    assert set(entry.endpoints) == set(load().endpoints)


def test_a_route_whose_endpoint_was_deleted_rejects(route):
    route.http_endpoint.delete()
    entry = load().routes[route.pk]
    assert (entry.mode, entry.endpoints) == (RouteMode.REJECT, ())


def test_track_domains_are_keyed_by_server_and_domain(world):
    TrackDomain.objects.create(
        server=world.server,
        domain=world.domain,
        dns_status="OK",
        excluded_click_domains="a.example\nb.example:80",
    )
    entry = load().track_domains[world.server.pk, world.domain.pk]
    assert (entry.host, entry.is_ok) == ("click.example.test", True)
    assert entry.excluded_hosts == {"a.example", "b.example:80"}
