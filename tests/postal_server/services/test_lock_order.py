"""Workers write to the same rows in the same order: on PostgreSQL they would wait for each other for ever."""

from __future__ import annotations

import re
from datetime import date
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from postal_server import conf
from postal_server.models import AddressEndpoint, Delivery, HTTPEndpoint, Message, SMTPEndpoint
from postal_server.rules.status import DeliveryStatus, EndpointType
from postal_server.services.preparation import send_limit
from postal_server.services.results import endpoint_use, notice_limit, tls_sessions
from postal_server.services.results.batch import Batch, Entry
from postal_server.services.results.suppression_entries import given_entry, put
from postal_server.services.shared import ip_pool
from postal_server.services.shared.entries import Source, SourceEntry
from postal_server.services.shared.work import Result, TlsSession
from tests.fakes import NOW, claimed

pytestmark = pytest.mark.django_db
NUMBERS = [3, 1, 4, 2]


def count_servers(config) -> None:
    send_limit._count(dict.fromkeys(NUMBERS, 1), NOW)


def count_sources(config) -> None:
    new = {"warm_up_from": date(2026, 1, 1), "warm_up_first_day": 10, "warm_up_days": 9}
    sources = {number: SourceEntry(number, 1, Source(), 100, **new) for number in NUMBERS}
    ip_pool.count(NUMBERS, SimpleNamespace(sources=sources), NOW)


def count_notices(config) -> None:
    notice_limit.count([(number, "") for number in NUMBERS], NOW)


def count_sessions(config) -> None:
    sessions = tuple(TlsSession(f"{number}.example", "sts") for number in NUMBERS)
    results = [Result(claimed(1), None, tls_sessions=sessions)]
    tls_sessions.apply(Batch(results, [], None, config, NOW))


def suppress(config) -> None:
    put(given_entry((1, f"{number}@dest.example"), NOW, keep_until=None) for number in NUMBERS)


def configuration(tmp_path) -> conf.Config:
    return conf.parse(
        {
            "tls_reports": {"enabled": True},
            "smtp": {"from_address": "postmaster@example.test"},
            "delivery": {"mode": "mx"},
        },
        {},
        tmp_path,
    )


@pytest.mark.parametrize(
    ("write", "key"),
    [
        (count_servers, r"(\d):\d{4,}"),
        (count_sources, r"(\d):\d{8}"),
        (count_notices, r"notice:(\d):"),
        (count_sessions, r"(\d)\.example"),
        (suppress, r"(\d)@dest\.example"),
    ],
)
def test_rows_are_locked_in_the_order_of_their_keys(write, key, tmp_path):
    statements = []

    def keep(execute, sql, parameters, many, context):
        statements.append(f"{sql} {parameters}")
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(keep):
        write(configuration(tmp_path))
    [statement] = [statement for statement in statements if "INSERT" in statement]
    # Some rows have their key in two columns.
    assert list(dict.fromkeys(re.findall(key, statement))) == ["1", "2", "3", "4"]


def test_endpoints_are_locked_kind_by_kind_whatever_the_order_of_the_batch(tmp_path):
    kinds = [EndpointType.SMTP, EndpointType.ADDRESS, EndpointType.HTTP]
    entries = [
        Entry(
            Result(claimed(number), None),
            Message(id=number, endpoint_type=kind.value, endpoint_id=number),
            DeliveryStatus.SENT,
            "",
            Delivery(message_id=number),
        )
        for kind in kinds
        for number in NUMBERS
    ]
    with CaptureQueriesContext(connection) as queries:
        endpoint_use.apply(Batch([], entries, None, configuration(tmp_path), NOW))
    statements = [query["sql"] for query in queries if "UPDATE" in query["sql"]]
    tables = [re.findall(r'UPDATE "(\w+)"', statement)[0] for statement in statements]
    assert tables == [model._meta.db_table for model in (AddressEndpoint, HTTPEndpoint, SMTPEndpoint)]
    assert all(re.search(r"IN \(1, 2, 3, 4\)", statement) for statement in statements)
