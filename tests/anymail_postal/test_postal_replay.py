import io
import sys

import pytest
from anymail.signals import inbound as inbound_signal
from anymail.signals import tracking as tracking_signal
from django.core.management import CommandError, call_command

from anymail_postal import signals
from anymail_postal.testing import form_bytes, hash_fields, json_bytes, raw_fields, simple_mail, webhook_body

from .receivers import listening, raising

pytestmark = pytest.mark.usefixtures("without_store")
MAIL = {
    "Hash": hash_fields("a@b.example", "in@example.com", {"subject": "Hi", "plain_body": "x"}),
    "RawMessage": raw_fields("a@b.example", "in@example.com", simple_mail(subject="Hi").as_bytes()),
}


def replay(capsys, tmp_path, *contents, **options):
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"{number}.body")
        paths[-1].write_bytes(content)
    call_command("postal_replay", *map(str, paths), **options)
    return capsys.readouterr().out.splitlines()


def test_webhooks_are_handled_again_and_again(capsys, tmp_path):
    content = json_bytes(webhook_body("MessageBounced", to="ann@example.com"))
    with listening(tracking_signal) as calls:
        lines = replay(capsys, tmp_path, content, content)
    assert [call["event"].recipient for call in calls] == ["ann@example.com"] * 2
    assert lines[1] == f"[2/2] {tmp_path}/1.body: tracking: bounced ann@example.com"


@pytest.mark.parametrize("format", MAIL)
@pytest.mark.parametrize("write", [json_bytes, form_bytes], ids=["JSON", "form"])
def test_mail_of_every_format(capsys, tmp_path, format, write):
    with listening(inbound_signal) as calls:
        (line,) = replay(capsys, tmp_path, write(MAIL[format]))
    assert [call["event"].message.subject for call in calls] == ["Hi"]
    assert line.endswith(": inbound: inbound Hi")


def test_events_of_other_kinds(capsys, tmp_path):
    delivered = json_bytes(webhook_body("MessageSent", direction="incoming"))
    failed = json_bytes(webhook_body("MessageHeld", direction="incoming", to=None))
    with listening(signals.inbound_failed) as calls:
        lines = replay(capsys, tmp_path, delivered, failed)
    assert len(calls) == 1
    assert lines[0].endswith(": tracking: nothing to do")
    assert lines[1].endswith(": tracking: inbound_failed")


def test_body_from_standard_input_for_another_server(capsys, monkeypatch, settings):
    settings.ANYMAIL = {"POSTAL_SERVERS": {"second": {}}}
    content = json_bytes(webhook_body("MessageSent"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    with listening(tracking_signal) as calls:
        call_command("postal_replay", "-", server="second", kind="tracking")
    assert [call["event"].postal.server for call in calls] == ["second"]
    assert "delivered" in capsys.readouterr().out


PROBLEMS = {
    "not JSON": (b"{", {}, "is not JSON"),
    "no mail": (b"hello", {"kind": "inbound"}, "no id or rcpt_to"),
    "mail as a webhook": (json_bytes(MAIL["Hash"]), {"kind": "tracking"}, "You seem to have set"),
    "unknown server": (b"{}", {"server": "no-such"}, "no-such"),
}


@pytest.mark.parametrize(("content", "options", "why"), PROBLEMS.values(), ids=PROBLEMS)
def test_problem_names_the_file(capsys, tmp_path, content, options, why):
    with pytest.raises(CommandError, match=rf"0\.body: .*{why}"):
        replay(capsys, tmp_path, content, **options)


def test_file_that_is_not_there():
    with pytest.raises(CommandError, match=r"no-such\.body cannot be read: No such file"):
        call_command("postal_replay", "no-such.body")


def test_receiver_that_raises_is_shown(capsys, tmp_path):
    with raising(tracking_signal, ValueError("bug")), pytest.raises(ValueError, match="bug"):
        replay(capsys, tmp_path, json_bytes(webhook_body("MessageSent")))
