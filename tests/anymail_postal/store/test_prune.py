"""What is old is forgotten, but for what still matters."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from anymail_postal.contrib.store.management.commands import postal_prune
from anymail_postal.contrib.store.models import (
    InboundMail,
    PostalEvent,
    PostalMessage,
    ScheduledMail,
    Suppression,
)
from anymail_postal.contrib.store.progress import Progress

pytestmark = pytest.mark.django_db


def fill(days_ago, handled=True):
    """One row of each kind, this old."""
    at = now() - timedelta(days=days_ago)
    key = str(days_ago)
    handled_at = at if handled else None
    PostalMessage.objects.create(server="default", postal_id=days_ago, sent_at=at)
    PostalEvent.objects.create(server="default", key=key, received_at=at, handled_at=handled_at)
    InboundMail.objects.create(server="default", key=key, received_at=at, handled_at=handled_at)
    for state in ("failed", "waiting", "sending"):
        ScheduledMail.objects.create(server="default", send_at=at, endpoint="x", params={}, state=state)
    Suppression.objects.create(server="default", address=f"{days_ago}@example.org", created_at=at)


def counts():
    models = (PostalMessage, PostalEvent, InboundMail, ScheduledMail, Suppression)
    return tuple(model.objects.count() for model in models)


def test_only_what_is_older_goes():
    fill(29)
    fill(31)
    call_command("postal_prune", days=30)
    assert counts() == (1, 1, 1, 5, 2)


def test_what_waits_for_a_task_stays():
    fill(31, handled=False)
    call_command("postal_prune", days=30)
    assert counts() == (0, 1, 1, 2, 1)


def test_many_rows_go_in_batches(monkeypatch, capsys):
    monkeypatch.setattr(postal_prune, "BATCH", 2)
    for days_ago in range(40, 45):
        fill(days_ago)
    call_command("postal_prune", days=30)
    assert counts() == (0, 0, 0, 10, 5)
    assert capsys.readouterr().out.splitlines() == [
        "messages deleted: 5",
        "events deleted: 5",
        "incoming mail deleted: 5",
        "failed scheduled mail deleted: 5",
    ]


@pytest.mark.parametrize("days", ["3", "0", "-1", "x", "36501", "", "²"])
def test_impossible_days_are_refused(days):
    with pytest.raises(CommandError, match="at least 4"):
        call_command("postal_prune", f"--days={days}")


def test_days_are_asked_for():
    with pytest.raises(CommandError, match="--days"):
        call_command("postal_prune")


@pytest.mark.parametrize("command", ["postal_prune", "postal_sync", "postal_send_due"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as end:
        call_command(command, "--help")
    assert end.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_progress_is_said_every_few_seconds():
    seconds, said = [0.0], []
    progress = Progress(said.append, "rows", 400, clock=lambda: seconds[0])
    for at in (4, 5, 9, 10):
        seconds[0] = at
        progress.step(100)
    assert said == ["rows: 200 of 400", "rows: 400 of 400"]
    progress.finish()
    assert said[-1] == "rows: 400"
