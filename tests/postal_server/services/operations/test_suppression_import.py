import io
import tracemalloc
from datetime import timedelta

import pytest
from django.db import transaction

from postal_server.models import Suppression
from postal_server.rules.suppression import Reason
from postal_server.services.operations import suppression_import
from postal_server.services.operations.suppression_file import csv_lines, read
from postal_server.services.operations.suppression_import import (
    ImportStopped,
    ImportTally,
    ImportTarget,
    steps,
)
from postal_server.services.operations.suppression_list import ListFilter, select
from postal_server.services.results.suppression_entries import given_entry, put
from tests.postal_server.services.conftest import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
HEADER = "address,reason,text,scope,created_at,keep_until\n"


@pytest.fixture
def load(recorded_config):
    """Import a text for server 1: what was done. `skipped` gets the bad lines."""

    def call(text: str, skipped=None, scope: str = "", is_dry: bool = False) -> ImportTally:
        tally = ImportTally()
        target = ImportTarget(1, recorded_config, NOW, scope)
        for _ in steps(
            read(io.StringIO(text, newline="")),
            target,
            tally,
            None if is_dry else transaction.atomic,
            None if skipped is None else skipped.append,
        ):
            pass
        return tally

    return call


def ends(key: str = "a@x.example") -> list[object]:
    rows = Suppression.objects.filter(key=key).order_by("reason", "scope")
    return [None if row.keep_until is None else (row.keep_until - NOW).days for row in rows]


def line(days: int | None, reason: str = "manual", scope: str = "") -> str:
    until = "never" if days is None else (NOW + days * DAY).isoformat()
    return f"A@x.example,{reason},,{scope},,{until}\n"


@pytest.mark.parametrize(
    ("there", "given", "kept"),
    [(5, 9, 9), (9, 5, 9), (None, 5, None), (5, None, None), (None, None, None)],
)
def test_the_longer_of_two_entries_stays(load, there, given, kept) -> None:
    until = None if there is None else NOW + there * DAY
    put([given_entry((1, "a@x.example"), NOW - DAY, keep_until=until)])
    tally = load(HEADER + line(given))
    assert ends() == [kept]
    assert (tally.put, tally.kept) == ((0, 1) if there == kept else (1, 0))


@pytest.mark.parametrize("days", [(3, 9), (9, 3)])
def test_the_longer_of_two_lines_stays(load, days) -> None:
    tally = load(HEADER + "".join(map(line, days)))
    assert ends() == [9]
    assert (tally.put, tally.kept) == (1, 1)


def test_an_import_again_changes_nothing(load) -> None:
    text = HEADER + line(9) + line(None, "complaint", "stream:news")
    assert load(text).put == 2
    before = list(Suppression.objects.order_by("pk").values())
    assert (load(text).kept, list(Suppression.objects.order_by("pk").values())) == (2, before)


@pytest.mark.parametrize(
    "change", [{"ended_at": NOW, "ended_by": "hand"}, {"state": "proposed", "incident_id": 1}]
)
def test_what_stops_nothing_is_replaced_whole(load, change) -> None:
    put([given_entry((1, "a@x.example"), NOW - DAY, keep_until=None)])
    Suppression.objects.update(**change, answer="550", times=3, source_message_id=7)
    load(HEADER + line(3))
    row = Suppression.objects.get()
    assert (row.ended_at, row.ended_by, row.state, row.incident_id) == (None, "", "active", None)
    assert (row.answer, row.times, row.source_message_id) == ("", 1, None)
    assert ends() == [3]


def test_what_is_not_given_is_by_default(load) -> None:
    load("address,reason,text\na@x.example,complaint,\na@x.example,imported,\n", scope="stream:news")
    assert ends() == [None, 30]
    assert set(Suppression.objects.values_list("scope", "server_id", "created_at")) == {
        ("stream:news", 1, NOW)
    }
    assert set(Suppression.objects.values_list("text", flat=True)) == {"complained about mail", "imported"}


def test_a_time_in_the_future_is_now(load) -> None:
    load(f"address,created_at,x\na@x.example,{(NOW + DAY).isoformat()},\n")
    assert Suppression.objects.get().created_at == NOW


def test_what_has_ended_is_left_out(load) -> None:
    tally = load(HEADER + line(-1))
    assert (tally.over, Suppression.objects.count()) == (1, 0)


def test_the_lines_above_a_bad_one_are_imported(load) -> None:
    with pytest.raises(ImportStopped, match="line 2: address: 'nobody'"):
        load("a@x.example\nnobody\nb@x.example\n")
    assert list(Suppression.objects.values_list("key", flat=True)) == ["a@x.example"]


def test_bad_lines_are_skipped(load, monkeypatch) -> None:
    monkeypatch.setattr(suppression_import, "TOGETHER", 2)
    skipped: list = []
    tally = load("a@x.example\nnobody\nb@x.example\nno\nc@x.example\n", skipped)
    assert [bad.number for bad in skipped] == [2, 4]
    assert (tally.put, tally.bad, Suppression.objects.count()) == (3, 2, 3)


def test_a_dry_run_writes_nothing(load) -> None:
    assert load("a@x.example\nb@x.example\n", is_dry=True).put == 2
    assert not Suppression.objects.exists()


def test_values_are_cut_and_made_storable(load) -> None:
    values = ",".join(letter * 999 for letter in "tcra")
    load(f"address,reason,text,code,rule,answer\na@x.example,manual,{values}\n")
    row = Suppression.objects.get()
    assert [len(value) for value in (row.text, row.code, row.rule, row.answer)] == [250, 16, 128, 500]


def test_a_step_has_a_bounded_number_of_queries(load, django_assert_max_num_queries) -> None:
    text = "".join(f"a{number}@x.example\n" for number in range(50))
    with django_assert_max_num_queries(3):  # with those of the transaction
        load(text)
    assert Reason(Suppression.objects.first().reason) is Reason.MANUAL


class LongFile:
    """A file of so many lines, which is nowhere whole."""

    def __init__(self, lines: int) -> None:
        self._lines = iter(range(lines))

    def readline(self, limit: int) -> str:
        number = next(self._lines, None)
        return "" if number is None else f"a{number}@x{number % 1000}.example\n"


@pytest.mark.slow
def test_the_length_of_a_list_takes_no_memory(recorded_config, monkeypatch) -> None:
    """Of 6,000 entries, which are never all there, in and out."""
    monkeypatch.setattr(suppression_import, "TOGETHER", 100)
    now = ImportTarget(1, recorded_config, NOW)
    tracemalloc.start()
    try:
        tally = ImportTally()
        assert sum(steps(read(LongFile(6000)), now, tally, transaction.atomic)) == 6000
        assert tally.put == 6000
        rows = select(ListFilter(1), NOW).iterator(chunk_size=100)
        assert sum(1 for _ in csv_lines(rows, {})) == 6001
        assert tracemalloc.get_traced_memory()[1] < 1_600_000
    finally:
        tracemalloc.stop()
