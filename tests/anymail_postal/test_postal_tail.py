import pytest
from django.core.management import CommandError, call_command

from anymail_postal import conf
from anymail_postal.management.commands import postal_tail
from anymail_postal.ports import EventReceipt


def keep(key, server="default", **values):
    values = {"name": "MessageSent", "event_type": "delivered", "recipient": f"{key}@example.com", **values}
    with conf.store().receive(EventReceipt(server=server, key=key, **values)):
        pass


def tail(capsys, **options):
    call_command("postal_tail", **options)
    return capsys.readouterr().out.splitlines()


@pytest.mark.django_db
def test_latest_events_in_order(capsys):
    for key in "abc":
        keep(key)
    lines = tail(capsys, lines=2, follow=False)
    assert [line.split()[-1] for line in lines] == ["b@example.com", "c@example.com"]


@pytest.mark.django_db
def test_what_a_line_says(capsys):
    keep(
        "a",
        event_type="bounced",
        reject_reason="invalid",
        failure_class="bad_address",
        output="550 5.1.1\nno such user",
        details="Permanent",
    )
    (line,) = tail(capsys, follow=False)
    assert line.endswith(
        "  default  MessageSent  bounced/invalid  bad_address  a@example.com  550 5.1.1 no such user"
    )


@pytest.mark.django_db
def test_events_of_one_server(capsys):
    keep("a")
    keep("b", server="second")
    (line,) = tail(capsys, server="second", follow=False)
    assert "b@example.com" in line


@pytest.mark.django_db
@pytest.mark.parametrize("lines", [0, 10])
def test_new_events_are_followed_until_interrupted(capsys, monkeypatch, lines):
    keep("old")
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt
        keep(f"new{len(naps)}")

    monkeypatch.setattr(postal_tail.time, "sleep", sleep)
    seen = [line.split()[-1] for line in tail(capsys, lines=lines, interval=0.5)]
    assert seen == (["old@example.com"] if lines else []) + ["new1@example.com", "new2@example.com"]
    assert naps == [0.5] * 3


@pytest.mark.usefixtures("without_store")
def test_without_a_store_there_is_nothing_to_follow():
    with pytest.raises(CommandError, match=conf.STORE_APP):
        call_command("postal_tail", follow=False)
