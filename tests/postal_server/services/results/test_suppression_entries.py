import re
import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from postal_server.models import Suppression
from postal_server.rules.suppression import ADDRESS_REASONS, Reason, State
from postal_server.services.results.suppression_entries import (
    Recipient,
    end,
    find,
    given_entry,
    put,
    standing,
    stop_for,
)
from tests.postal_server.services.conftest import NOW

pytestmark = pytest.mark.django_db
WHO: Recipient = (1, "Ann@Dest.example")
MONTH = timedelta(days=30)


def suppress(recipient: Recipient = WHO, *, keep_until=NOW + MONTH, now=NOW, **values) -> None:
    put([given_entry(recipient, now, keep_until=keep_until, **values)])


def stop(recipient: Recipient = WHO, now=NOW, scopes=("",), **values):
    return stop_for(recipient, find([recipient], now), scopes, **values)


class TestFind:
    def test_addresses_are_compared_without_case_and_per_server(self):
        suppress(text="too many hard fails")
        found = find([(1, "ANN@dest.example"), (2, "ann@dest.example"), (1, "b@x.example")], NOW)
        assert stop_for((1, "ann@DEST.example"), found).text == "too many hard fails"
        assert stop_for((2, "ann@dest.example"), found) is None

    @pytest.mark.parametrize(
        "spelling", ["\u00dcnna@b\u00fccher.example.", '"\u00dcNNA"@XN--BCHER-KVA.example']
    )
    def test_an_address_is_found_in_any_spelling(self, spelling):
        suppress((1, "\u00fcnna@B\u00dcCHER.example"))
        assert stop((1, spelling)).key == "\u00fcnna@xn--bcher-kva.example"
        assert end([(1, spelling)], NOW, "hand")
        assert not standing(NOW).exists()

    def test_what_is_past_its_time_or_ended_or_proposed_does_not_count(self):
        suppress()
        assert stop(now=NOW + timedelta(days=29))
        assert not stop(now=NOW + MONTH)
        Suppression.objects.update(state=State.PROPOSED.value)
        assert not stop()
        Suppression.objects.update(state=State.ACTIVE.value, ended_at=NOW)
        assert not stop()

    def test_an_entry_without_end_outlasts_all(self):
        suppress(reason=Reason.EXPIRED, text="short")
        suppress(keep_until=None, text="long")
        assert stop(now=NOW).text == "long"
        assert stop(now=NOW + timedelta(days=4000)).text == "long"

    def test_an_entry_stops_the_mail_of_its_scope(self):
        suppress(scope="stream:news", reason=Reason.UNSUBSCRIBE)
        assert stop() is None
        assert stop(scopes=("", "stream:news")).reason is Reason.UNSUBSCRIBE
        assert stop(scopes=("", "stream:other")) is None

    @pytest.mark.parametrize(("servers", "count"), [(1, 1), (1, 50), (50, 50)])
    def test_a_batch_takes_one_query(self, servers, count, django_assert_num_queries):
        suppress((1, "a1@x.example"))
        wanted = [(1 + n % servers, f"a{n + 1}@x.example") for n in range(count)]
        with django_assert_num_queries(1):
            assert list(find(wanted, NOW)) == [(1, "a1@x.example")]
        with django_assert_num_queries(0):
            find([], NOW)


class TestPut:
    def test_the_same_reason_is_replaced(self):
        suppress(text="first")
        suppress((1, "ANN@dest.example"), text="second", keep_until=None)
        row = Suppression.objects.get()
        assert (row.key, row.address, row.text) == ("ann@dest.example", "ANN@dest.example", "second")
        assert row.keep_until is None

    def test_another_reason_or_scope_is_another_entry(self):
        for values in (
            {},
            {"reason": Reason.UNKNOWN},
            {"scope": "stream:news"},
            {"scope": "domain:a.example"},
        ):
            suppress(**values)
        assert Suppression.objects.count() == 4

    def test_what_had_ended_is_on_the_list_again(self):
        suppress()
        end([WHO], NOW, "hand")
        suppress()
        row = Suppression.objects.get()
        assert (row.ended_at, row.ended_by) == (None, "")


class TestEnd:
    def test_who_was_on_the_list_is_returned_and_the_history_stays(self):
        suppress()
        suppress((2, WHO[1]))
        [row] = end([WHO, (1, "other@x.example")], NOW, "hand")
        row.refresh_from_db()
        assert (row.server_id, row.ended_at, row.ended_by) == (1, NOW, "hand")
        assert standing(NOW).get().server_id == 2
        assert end([WHO], NOW, "hand") == []

    def test_only_these_reasons_and_scopes(self):
        suppress(reason=Reason.BAD_ADDRESS)
        suppress(reason=Reason.COMPLAINT)
        suppress(reason=Reason.COMPLAINT, scope="stream:news")
        assert [row.reason for row in end([WHO], NOW, "success", reasons=ADDRESS_REASONS)] == ["bad_address"]
        assert [row.scope for row in end([WHO], NOW, "hand", scope="stream:news")] == ["stream:news"]
        assert standing(NOW).get().scope == ""


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_end_an_entry_only_one_does():
    if not connection.features.has_select_for_update:
        pytest.skip("one writer at a time")
    suppress()
    found = []
    second = threading.Thread(target=_end, args=(found,))
    with transaction.atomic():
        assert len(end([WHO], NOW, "success")) == 1
        second.start()
        second.join(0.3)
        assert second.is_alive()
    second.join(10)
    assert found == [[]]


def _end(found: list) -> None:
    with transaction.atomic():
        found.append(end([WHO], NOW, "success"))
    connection.close()


def test_a_look_up_goes_through_the_index(django_assert_num_queries):
    """With any number of entries: no scan, and no other index, which would have all that last as long."""
    put(given_entry((1, f"a{n}@x.example"), NOW, keep_until=NOW + MONTH) for n in range(500))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE postal_server_suppression")
    for servers in (1, 3):
        with django_assert_num_queries(1) as queries:
            find([(1 + n % servers, f"a{n}@x.example") for n in range(64)], NOW)
        [query] = queries.captured_queries
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off")  # of so few rows it would be the quicker one
            explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
            cursor.execute(f"{explain} {query['sql']}")
            plan = " ".join(str(cell) for row in cursor.fetchall() for cell in row)
        # SQLite has a name of its own for the index of a constraint.
        assert re.search(r"one_suppression_per_reason|sqlite_autoindex_\w+ \(server_id=\? AND key=\?\)", plan)
        assert "SCAN" not in plan
        assert "keep_until" not in plan
