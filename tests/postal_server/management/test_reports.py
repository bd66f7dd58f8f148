from __future__ import annotations

import json

import pytest

from postal_server.models import Message, Report
from postal_server.services.shared.token import message_token
from tests.each import each
from tests.postal_server.services.reports import PATH


@pytest.fixture
def three(add) -> list[int]:
    """An outgoing message, a bounce about it, and an automatic reply about nothing."""
    original, bounce, reply = add("ann@dest.example"), add(), add()
    path = PATH.format(token=message_token(original))
    mails = Message.objects.filter(pk__in=[bounce, reply])
    mails.update(scope="incoming", kind="autoreply", subject="Away", rcpt_to=path)
    Message.objects.filter(pk=bounce).update(kind="bounce", bounce_for_id=original, subject="Undelivered")
    values = {"server_id": 1, "created_at": mails[0].created_at}
    Report.objects.create(
        message_id=bounce,
        original_id=original,
        kind="bounce",
        found_by="return_path",
        is_strong=True,
        address="ann@dest.example",
        status="5.1.1",
        diagnostic="550 5.1.1 No such user",
        **values,
    )
    Report.objects.create(message_id=reply, kind="autoreply", **values)
    return [original, bounce, reply]


def test_list_shows_what_each_was_taken_for(run, three):
    original, bounce, reply = three
    lines = run("reports", "list").splitlines()
    assert [line.split()[0] for line in lines] == ["id", str(reply), str(bounce)]
    words = lines[2].split()
    assert {"bounce", str(original), "ann@dest.example", "5.1.1", "Undelivered"} <= set(words)


@each(
    "words, which",
    [
        (["--kind", "bounce"], [1]),
        (["--server", "acme/shop"], [2, 1]),
        (["--server", "acme/shop", "--kind", "autoreply"], [2]),
        (["--search", "ann@dest.example"], [1]),
        (["--search", "Away"], [2]),
        (["--search", "@Dest.example"], [1]),
        (["--domain", "Dest.example"], [1]),
        (["--domain", "est.example"], []),
        (["--limit", "1"], [2]),
        (["--days", "1"], [2, 1]),
    ],
)
def test_json_has_a_line_for_each_that_is_wanted(run, three, words, which):
    shown = [json.loads(line) for line in run("reports", "list", "--json", *words).splitlines()]
    assert [report["id"] for report in shown] == [three[number] for number in which]


def test_json_says_all_that_was_read(run, three):
    shown = json.loads(run("reports", "list", "--json", "--kind", "bounce"))
    assert (shown["server"], shown["kind"], shown["subject"]) == ("acme/shop", "bounce", "Undelivered")
    [said] = shown["about"]
    assert (said["original_message"], said["evidence"], said["found_by"]) == (
        three[0],
        "strong",
        "return_path",
    )
    assert (said["status"], said["diagnostic"]) == ("5.1.1", "550 5.1.1 No such user")


def test_an_unknown_kind_is_named(run, three):
    with pytest.raises(Exception, match="invalid choice: 'spam'"):
        run("reports", "list", "--kind", "spam")
