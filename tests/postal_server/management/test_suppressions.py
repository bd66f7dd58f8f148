from __future__ import annotations

import csv
import io
import json
import sys
from datetime import timedelta

import pytest
from django.core.management.base import CommandError

from postal_server.management.commands import suppressions
from postal_server.models import FailureEvidence, QueuedMessage, Stream, Suppression
from tests.each import each

from .conftest import NOW

SERVER = ["--server", "acme/shop"]


def keys() -> list[str]:
    return list(Suppression.objects.filter(ended_at=None).order_by("key").values_list("key", flat=True))


def test_add_list_and_remove(run, server):
    assert run("suppressions", "add", *SERVER, "Ann@Dest.example", "b@x.example", "--text", "asked") == (
        "2 addresses are suppressed.\n"
    )
    row = Suppression.objects.get(key="ann@dest.example")
    assert (row.server_id, row.address, row.text) == (server.pk, "Ann@Dest.example", "asked")
    assert timedelta(days=29) < row.keep_until - NOW < timedelta(days=31)
    listed = run("suppressions", "list").splitlines()
    assert listed[1].split() == ["b@x.example", "acme/shop", "manual", "in", "29", "d", "23", "h", "asked"]
    assert len(run("suppressions", "list", "--search", "DEST").splitlines()) == 2
    assert run("suppressions", "remove", *SERVER, "ANN@dest.example", "no@x.example").startswith("1 ")
    assert keys() == ["b@x.example"]
    assert Suppression.objects.get(key="ann@dest.example").ended_by == "command line"


@pytest.fixture
def several(run):
    """Entries of each kind, by the local parts of their addresses."""
    for words in (
        ["all@x.example", "--days", "3"],
        ["news@x.example", "--scope", "stream:news", "--reason", "complaint"],
        ["domain@x.example", "--scope", "domain:Bücher.example", "--days", "9"],
        ["ended@x.example"],
        ["proposed@x.example", "--reason", "bad_address"],
    ):
        run("suppressions", "add", *SERVER, *words)
    Suppression.objects.filter(key="ended@x.example").update(ended_at=NOW, ended_by="hand")
    Suppression.objects.filter(key="proposed@x.example").update(state="proposed")


@each(
    "words, expected",
    [
        ([], {"all", "news", "domain"}),
        (["--reason", "complaint"], {"news"}),
        (["--scope", "stream:news"], {"news"}),
        (["--scope", "domain:xn--bcher-kva.example"], {"domain"}),
        (["--scope", ""], {"all"}),
        (["--expires-before", (NOW + timedelta(days=5)).date().isoformat()], {"all"}),
        (["--expires-before", (NOW + timedelta(days=10)).isoformat()], {"all", "domain"}),
        (["--ended"], {"ended"}),
        (["--proposed"], {"proposed"}),
        (["--proposed", "--reason", "manual"], set()),
    ],
)
def test_filters(run, several, words, expected):
    found = json.loads(run("suppressions", "list", *SERVER, "--json", *words))
    assert {row["address"].partition("@")[0] for row in found} == expected
    exported = csv.DictReader(io.StringIO(run("suppressions", "export", *words)))
    assert {row["address"].partition("@")[0] for row in exported} == expected


@each(
    "words, said",
    [
        (["list", "--reason", "gone"], "invalid choice: 'gone'"),
        (["list", "--scope", "news"], "'news' is not a scope such as stream:news"),
        (["list", "--expires-before", "soon"], "'soon' is neither a day such as 2030-01-31 nor a time"),
        (["add", *SERVER, "a@x.example", "--days", "9999999"], "9999999 days end after the year 9999"),
        (["import", *SERVER, "x", "--errors", "y"], "--errors is for the lines that --skip-bad skips"),
    ],
)
def test_wrong_values_are_named(run, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").touch()
    with pytest.raises(CommandError, match=said):
        run("suppressions", *words)


def test_add_for_some_days(run):
    run("suppressions", "add", *SERVER, "a@x.example", "--days", "400")
    assert Suppression.objects.get().keep_until - NOW > timedelta(days=399)


@each("action", ["add", "remove", "check", "history"])
def test_what_is_no_address_is_refused(run, action):
    with pytest.raises(CommandError, match="'nobody' is not an address"):
        run("suppressions", action, *SERVER, "nobody")


@pytest.fixture
def waiting(run, add):
    """Two messages for a suppressed address, one of them under its other spelling, and one for another."""
    run("suppressions", "add", "--server", "acme/shop", "ann@dest.example")
    ids = [add(to, held="x", reason="suppressed") for to in ("ann@dest.example", "Ann@Dest.example")]
    add("bob@dest.example", held="x", reason="suppressed")
    add("ann@dest.example", held="x", reason="send_limit")
    return ids


REMOVE = ("suppressions", "remove", "--server", "acme/shop", "ann@dest.example")


def test_what_is_held_for_a_removed_address_is_named(run, waiting):
    assert run(*REMOVE).splitlines()[-1] == "2 held messages for it; --release sends them."
    assert not QueuedMessage.objects.exists()


def test_what_is_held_for_a_removed_address_can_be_released(run, waiting):
    assert run(*REMOVE, "--release").splitlines()[-1] == "2 held messages released."
    assert set(QueuedMessage.objects.values_list("pk", flat=True)) == set(waiting)


def test_remove_for_one_reason_or_scope(run):
    for words in (["--reason", "complaint"], ["--scope", "stream:news"], []):
        run("suppressions", "add", *SERVER, "a@x.example", *words)
    for words in (["--reason", "complaint"], ["--scope", "stream:news"]):
        found = json.loads(run("suppressions", "remove", *SERVER, "a@x.example", "--json", *words))
        assert found == {"removed": 1, "held": 0, "released": 0}
    assert Suppression.objects.get(ended_at=None).scope == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"all"}),
        (["--stream", "news"], {"all", "news"}),
        (["--stream", "receipts"], set()),
        (["--domain", "bücher.example"], {"all", "domain"}),
    ],
)
def test_check_says_who_would_be_stopped(run, several, server, words, expected):
    Stream.objects.create(server=server, name="receipts", kind="transactional")
    addresses = [f"{name}@x.example" for name in ("all", "news", "domain", "ended", "proposed", "none")]
    found = json.loads(run("suppressions", "check", *SERVER, *addresses, *words, "--json"))
    assert [row["address"] for row in found] == addresses
    assert {row["address"].partition("@")[0] for row in found if row["is_suppressed"]} == expected


def test_check_says_why(run, several):
    lines = run("suppressions", "check", *SERVER, "all@x.example", "none@x.example").splitlines()
    assert lines[1].split()[:6] == ["all@x.example", "no", "manual", "in", "2", "d"]
    assert lines[2].split() == ["none@x.example", "yes"]


def test_check_has_a_bound(run, monkeypatch):
    monkeypatch.setattr(suppressions, "MOST_CHECKED", 1)
    with pytest.raises(CommandError, match="2 addresses are too many: 1 are checked"):
        run("suppressions", "check", *SERVER, "a@x.example", "b@x.example")


def test_history_has_all_that_is_remembered(run, several, server):
    FailureEvidence.objects.create(
        server_id=server.pk,
        key="ended@x.example",
        failure_class="inactive",
        is_sure=True,
        message_id=7,
        created_at=NOW,
    )
    found = json.loads(run("suppressions", "history", "Ended@x.example", "--json"))
    assert [(row["reason"], row["ended_by"]) for row in found["entries"]] == [("manual", "hand")]
    assert [(row["class"], row["message_id"]) for row in found["failures"]] == [("inactive", 7)]
    lines = run("suppressions", "history", "Ended@x.example").splitlines()
    assert "by hand" in lines[1]
    assert lines[2].endswith(": message 7 failed: inactive")


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_an_export_can_be_imported(run, tmp_path, format):
    run("suppressions", "add", *SERVER, "a@x.example", '"x,y"@x.example', "--text", 'said "no", twice')
    run("suppressions", "add", *SERVER, "a@x.example", "--reason", "complaint", "--scope", "stream:news")
    columns = ("key", "address", "text", "reason", "scope", "created_at", "keep_until")
    before = list(Suppression.objects.values_list(*columns).order_by("pk"))
    file = tmp_path / "list"
    file.write_text(run("suppressions", "export", "--format", format), "utf-8")
    Suppression.objects.all().delete()
    assert run("suppressions", "import", *SERVER, str(file)) == "3 addresses are suppressed.\n"
    assert set(Suppression.objects.values_list(*columns)) == set(before)
    assert run("suppressions", "import", *SERVER, str(file)) == (
        "0 addresses are suppressed.\n3 entries were there for as long, or twice in the file.\n"
    )


def test_a_plain_list_from_standard_input(run, monkeypatch):
    text = "\ufeffa@x.example\n\nBob <B@x.example>\na@x.example,again\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    run("suppressions", "import", *SERVER, "-", "--as", "unsubscribe", "--scope", "stream:news")
    assert dict(Suppression.objects.values_list("key", "text")) == {
        "a@x.example": "unsubscribed",
        "b@x.example": "unsubscribed",
    }
    assert set(Suppression.objects.values_list("reason", "scope")) == {("unsubscribe", "stream:news")}


@each(
    "content, said",
    [
        (
            b"a@x.example\nnonsense\n",
            "line 2: address: 'nonsense' is not an address. The lines above it .*: 1 ",
        ),
        (b"a@x.example\n\xff@x.example\n", "line 2: address: .* is not UTF-8"),
        (b"\xff\xfe\n", "the columns .* are those of no known list: one has to be `address`"),
        (b'"' + b"x" * 200_000, "not CSV"),
        (b"a@x.example\0\n", "line 1: (address|not CSV: line contains NUL)"),  # the second before Python 3.11
    ],
)
def test_a_file_that_is_no_list_is_an_error_that_names_the_line(run, tmp_path, content, said):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(CommandError, match=said):
        run("suppressions", "import", *SERVER, str(tmp_path / "list"))


def test_bad_lines_are_skipped_and_written_to_a_file(run, tmp_path):
    file, errors = tmp_path / "list", tmp_path / "errors.csv"
    file.write_bytes(b"a@x.example\n\xff@x.example\nb@x.example\n")
    assert run("suppressions", "import", *SERVER, str(file), "--skip-bad", "--errors", str(errors)) == (
        "2 addresses are suppressed.\n1 line was skipped.\n"
    )
    assert errors.read_text("utf-8").splitlines() == [
        "line,column,why,text",
        "2,address,'\\udcff@x.example' is not UTF-8,\\udcff@x.example",
    ]


def test_a_dry_run_reads_to_the_end_and_writes_nothing(run, tmp_path):
    file = tmp_path / "list"
    file.write_text("a@x.example\nno\nb@x.example\n")
    words = ["suppressions", "import", *SERVER, str(file), "--dry-run"]
    with pytest.raises(CommandError, match="would stop at the first bad line"):
        run(*words)
    assert run(*words, "--skip-bad") == "2 entries would be imported.\n1 line was skipped.\n"
    assert not Suppression.objects.exists()


def test_a_file_that_is_not_there(run, tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        run("suppressions", "import", *SERVER, str(tmp_path / "list"))


def test_many_addresses_are_dealt_with_in_steps(run, monkeypatch):
    monkeypatch.setattr(suppressions, "TOGETHER", 2)
    addresses = [f"a{number}@x.example" for number in range(5)]
    run("suppressions", "add", *SERVER, *addresses)
    assert keys() == addresses
    assert run("suppressions", "remove", *SERVER, *addresses).startswith("5 ")
