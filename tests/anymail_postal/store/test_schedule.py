"""Mail that waits for its time: sent once, recorded, and never twice by itself."""

import base64
import json
from datetime import timedelta

import pytest
import requests
import responses
from anymail.message import AnymailMessage
from django.core.management import CommandError, call_command
from django.utils.timezone import now
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from anymail_postal.api import network_error
from anymail_postal.backend import EmailBackend
from anymail_postal.client import PostalClient
from anymail_postal.contrib.store import schedule
from anymail_postal.contrib.store.models import PostalMessage, ScheduledMail
from anymail_postal.contrib.store.store import Store
from anymail_postal.errors import PostalAPIError
from anymail_postal.ports import ScheduledSend
from tests.each import each

URL = "https://postal.example.com"


@pytest.fixture(autouse=True)
def postal_settings(settings, db):
    settings.ANYMAIL = {"POSTAL_API_URL": URL, "POSTAL_API_KEY": "key", "POSTAL_SEND_AT": "store"}
    settings.ANYMAIL["POSTAL_RETRIES"] = 0


@pytest.fixture
def postal():
    with responses.mock:
        yield responses.mock


def accepts(postal, endpoint="send/message", **messages):
    data = {
        "message_id": "x@example.com",
        "messages": messages or {"ann@example.org": {"id": 5, "token": "tok"}},
    }
    postal.add("POST", f"{URL}/api/v1/{endpoint}", json={"status": "success", "data": data})


def refuses(postal, code="UnauthenticatedFromAddress"):
    answer = {"status": "error", "data": {"code": code, "message": "no"}}
    postal.add("POST", f"{URL}/api/v1/send/message", json=answer)


def keep(minutes=-1, server="default", endpoint="send/message", params=None, **values):
    params = params or {"to": ["ann@example.org"], "plain_body": "Hi"}
    send_at = now() + timedelta(minutes=minutes)
    Store().schedule([ScheduledSend(server, send_at, endpoint, params, **values)])
    return ScheduledMail.objects.order_by("-pk").first()


def send_due():
    call_command("postal_send_due")


def test_mail_is_sent_when_its_time_has_come(postal, capsys):
    keep(subject="Hello", tag="news", metadata={"a": 1})
    accepts(postal)
    send_due()
    [call] = postal.calls
    assert json.loads(call.request.body) == {"to": ["ann@example.org"], "plain_body": "Hi"}
    assert not ScheduledMail.objects.exists()
    row = PostalMessage.objects.get()
    assert (row.server, row.postal_id, row.token, row.recipient) == ("default", 5, "tok", "ann@example.org")
    assert (row.rfc_message_id, row.subject, row.tag) == ("x@example.com", "Hello", "news")
    assert row.metadata == {"a": 1}
    assert capsys.readouterr().out == "mail of default: 1\n"


def test_raw_mail_is_sent_byte_for_byte(postal):
    data = base64.b64encode(b"From: a@example.com\r\n\r\nHi").decode()
    params = {"mail_from": "a@example.com", "rcpt_to": ["ann@example.org"], "data": data}
    keep(endpoint="send/raw", params=params)
    keep(endpoint="send/raw", params={**params, "bounce": True})
    accepts(postal, "send/raw")
    send_due()
    assert [json.loads(call.request.body) for call in postal.calls] == [params, {**params, "bounce": True}]


def test_mail_waits_until_then(postal):
    keep(minutes=1)
    send_due()
    assert not postal.calls
    assert ScheduledMail.objects.get().state == "waiting"


def test_several_processes_send_it_once(postal):
    mail = keep()
    accepts(postal)
    with PostalClient() as client:
        assert schedule.send(mail, client)
        assert not schedule.send(mail, client)
    assert len(postal.calls) == 1


def test_what_another_process_has_taken_is_left(postal):
    keep()
    ScheduledMail.objects.update(state="sending")
    send_due()
    assert not postal.calls


def test_what_postal_refuses_has_failed(postal, capsys):
    keep()
    refuses(postal)
    with pytest.raises(CommandError, match="1 failed"):
        send_due()
    row = ScheduledMail.objects.get()
    assert row.state == "failed"
    assert "UnauthenticatedFromAddress" in row.error
    assert "UnauthenticatedFromAddress" in capsys.readouterr().err
    send_due()
    assert len(postal.calls) == 1


def test_a_refusal_does_not_stop_the_others(postal):
    keep()
    keep(params={"to": ["bob@example.org"]})
    refuses(postal)
    accepts(postal)
    with pytest.raises(CommandError, match="1 failed"):
        send_due()
    assert len(postal.calls) == 2
    assert PostalMessage.objects.count() == 1


def test_a_postal_that_is_busy_gets_the_mail_later(postal):
    keep()
    keep()
    postal.add("POST", f"{URL}/api/v1/send/message", status=503)
    with pytest.raises(CommandError, match="1 failed"):
        send_due()
    assert len(postal.calls) == 1
    assert set(ScheduledMail.objects.values_list("state", flat=True)) == {"waiting"}
    postal.reset()
    accepts(postal)
    send_due()
    assert not ScheduledMail.objects.exists()


def test_what_may_have_been_sent_is_not_sent_again(postal):
    keep()
    postal.add("POST", f"{URL}/api/v1/send/message", body=requests.ReadTimeout("too slow"))
    with pytest.raises(CommandError):
        send_due()
    assert ScheduledMail.objects.get().state == "failed"


def test_a_mail_that_is_gone_meanwhile_is_not_sent(postal, monkeypatch):
    keep()
    monkeypatch.setattr(ScheduledMail.objects, "filter", deleting(ScheduledMail.objects.filter))
    send_due()
    assert not postal.calls


def deleting(filter_rows):
    """Another process sends the mail between our two looks."""

    def look(**conditions):
        if "pk" in conditions:
            filter_rows().delete()
        return filter_rows(**conditions)

    return look


def test_a_server_that_is_not_configured_is_named(postal, capsys):
    keep(server="gone")
    keep()
    accepts(postal)
    with pytest.raises(CommandError, match="1 failed"):
        send_due()
    assert "gone: " in capsys.readouterr().err
    assert ScheduledMail.objects.get().server == "gone"
    assert ScheduledMail.objects.get().state == "waiting"


def test_mail_that_was_sent_but_not_recorded_is_not_sent_again(postal, monkeypatch):
    def fail(*args):
        raise RuntimeError("the database is gone")

    mail = keep()
    accepts(postal)
    monkeypatch.setattr(Store, "record_sent", fail)
    with PostalClient() as client, pytest.raises(RuntimeError):
        schedule.send(mail, client)
    assert ScheduledMail.objects.get().state == "sending"
    send_due()
    assert len(postal.calls) == 1


def response(status):
    found = requests.Response()
    found.status_code = status
    return found


def error(cause=None, status=None):
    if status is not None:
        return PostalAPIError(response=response(status))
    found = network_error(cause, URL)
    found.__cause__ = cause
    return found


def refused(reason):
    return requests.ConnectionError(MaxRetryError(None, "/", reason))


@each(
    "failure, answer",
    [
        (error(status=429), True),
        (error(status=503), True),
        (error(status=500), False),
        (error(status=200), False),
        (error(requests.ConnectTimeout()), True),
        (error(refused(NewConnectionError(None, "refused"))), True),
        (error(refused(ConnectTimeoutError())), True),
        (error(refused(ReadTimeoutError(None, "/", "slow"))), False),
        (error(requests.ReadTimeout()), False),
        (error(requests.ConnectionError(ProtocolError("aborted"))), False),
        (error(requests.ConnectionError()), False),
        (PostalAPIError("no cause"), False),
    ],
)
def test_only_what_postal_cannot_have_is_sent_again(failure, answer):
    assert schedule.was_not_accepted(failure) is answer


def test_the_backend_keeps_mail_with_a_time(postal):
    message = AnymailMessage("Hello", "Hi", "app@example.com", ["ann@example.org"], tags=["news"])
    message.send_at = now() + timedelta(hours=1)
    assert EmailBackend().send_messages([message]) == 1
    assert not postal.calls
    row = ScheduledMail.objects.get()
    assert (row.subject, row.tag, row.server) == ("Hello", "news", "default")
    ScheduledMail.objects.update(send_at=now())
    accepts(postal)
    send_due()
    sent = json.loads(postal.calls[0].request.body)
    assert (sent["subject"], sent["to"], sent["tag"]) == ("Hello", ["ann@example.org"], "news")
