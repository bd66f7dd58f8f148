import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from postal_server.models import SMTPEndpoint, WebhookRequest
from postal_server.rules.status import Scope
from tests.postal_server.services.conftest import NOW, sent, store

from .conftest import LATER


@pytest.mark.parametrize(
    ("answer", "is_used"), [("250 2.0.0 Ok", True), ("451 4.3.0 later", False), ("550 5.1.1 no", False)]
)
def test_an_endpoint_that_took_mail_was_used(world, record, answer, is_used):
    endpoint = SMTPEndpoint.objects.create(server=world.server, name="E", hostname="mx.example.test")
    untouched = SMTPEndpoint.objects.create(server=world.server, name="F", hostname="mx.example.test")
    values = {"scope": Scope.INCOMING, "endpoint_type": "SMTPEndpoint", "endpoint_id": endpoint.pk}
    [claim] = store(world, **values)
    record(sent(claim, answer))
    endpoint.refresh_from_db()
    untouched.refresh_from_db()
    assert (endpoint.last_used_at, untouched.last_used_at) == (LATER if is_used else None, None)


def test_the_use_of_an_endpoint_is_noted_once_a_minute(world, record):
    endpoint = SMTPEndpoint.objects.create(
        server=world.server, name="E", hostname="mx.example.test", last_used_at=NOW
    )
    values = {"scope": Scope.INCOMING, "endpoint_type": "SMTPEndpoint", "endpoint_id": endpoint.pk}
    [claim] = store(world, **values)
    record(sent(claim))
    endpoint.refresh_from_db()
    assert endpoint.last_used_at == NOW


def test_an_endpoint_is_locked_only_after_the_events_are_stored(world, record):
    world.add_webhook()
    endpoint = SMTPEndpoint.objects.create(server=world.server, name="E", hostname="mx.example.test")
    values = {"scope": Scope.INCOMING, "endpoint_type": "SMTPEndpoint", "endpoint_id": endpoint.pk}
    [claim] = store(world, **values)
    with CaptureQueriesContext(connection) as queries:
        record(sent(claim))
    *_, before, last = [query["sql"] for query in queries]
    table = f'"{WebhookRequest._meta.db_table}"'
    assert before.startswith((f"INSERT INTO {table}", f"COPY {table}"))  # the latter on PostgreSQL
    assert last.startswith(f'UPDATE "{SMTPEndpoint._meta.db_table}"')
