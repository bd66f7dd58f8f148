from __future__ import annotations

import io
import sys
from datetime import timedelta

import pytest
from django.core.management.base import CommandError

from postal_server.models import QueuedMessage, Suppression

from .conftest import NOW

SERVER = ["--server", "acme/shop"]


def test_add_list_and_remove(run, server):
    assert run("suppressions", "add", *SERVER, "Ann@Dest.example", "b@x.example", "--reason", "asked") == (
        "2 addresses are suppressed.\n"
    )
    row = Suppression.objects.get(key="ann@dest.example")
    assert (row.server_id, row.address, row.text) == (server.pk, "Ann@Dest.example", "asked")
    assert timedelta(days=29) < row.keep_until - NOW < timedelta(days=31)
    listed = run("suppressions", "list").splitlines()
    assert listed[1].split("  ")[0] == "b@x.example"
    assert "acme/shop" in listed[1]
    assert len(run("suppressions", "list", "--search", "DEST").splitlines()) == 2
    assert run("suppressions", "remove", *SERVER, "ANN@dest.example", "no@x.example").startswith("1 ")
    assert list(Suppression.objects.filter(ended_at=None).values_list("key", flat=True)) == ["b@x.example"]
    assert Suppression.objects.get(key="ann@dest.example").ended_by == "command line"


def test_add_for_some_days(run):
    run("suppressions", "add", *SERVER, "a@x.example", "--days", "400")
    assert Suppression.objects.get().keep_until - NOW > timedelta(days=399)


@pytest.mark.parametrize("action", ["add", "remove"])
def test_what_is_no_address_is_refused(run, action):
    with pytest.raises(CommandError, match="'nobody' is not an address"):
        run("suppressions", action, *SERVER, "nobody")


def test_an_export_can_be_imported(run, tmp_path):
    run("suppressions", "add", *SERVER, "a@x.example", '"x,y"@x.example', "--reason", 'said "no", twice')
    before = list(Suppression.objects.values_list("address", "text", "created_at", "keep_until"))
    file = tmp_path / "list.csv"
    file.write_text(run("suppressions", "export"), "utf-8")
    Suppression.objects.all().delete()
    assert run("suppressions", "import", *SERVER, str(file)) == "2 addresses are suppressed.\n"
    assert list(Suppression.objects.values_list("address", "text", "created_at", "keep_until")) == before


def test_a_plain_list_from_standard_input(run, monkeypatch):
    text = "a@x.example\n\nBob <B@x.example>\na@x.example,again\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    run("suppressions", "import", *SERVER, "-")
    assert dict(Suppression.objects.values_list("key", "text")) == {
        "a@x.example": "again",
        "b@x.example": "added by an administrator",
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a@x.example\nnonsense\n", "line 2: 'nonsense' is not an address"),
        (b"address,keep_until\na@x.example,soon\n", "line 2: "),
        (b"address,keep_until\na@x.example,2030-01-01\n", "line 2: a time needs its offset"),
        (b"\xff\xfe\n", "can't decode"),
        (b'"' + b"x" * 200_000, "not CSV"),
        (b"a@x.example\0\n", "line 1|not CSV: line contains NUL"),  # the second before Python 3.11
    ],
)
def test_a_file_that_is_no_list_is_an_error_that_names_the_line(run, tmp_path, content, said):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(CommandError, match=said):
        run("suppressions", "import", *SERVER, str(tmp_path / "list"))


def test_a_file_that_is_not_there(run, tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        run("suppressions", "import", *SERVER, str(tmp_path / "list"))


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
