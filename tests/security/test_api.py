"""The API as an attacker calls it, with a key of his own or without one."""

from __future__ import annotations

import base64
import contextlib
import json
import socket

import pytest
import requests

from tests.each import each

MEGABYTE = 1024 * 1024
INJECTED = "x\r\nBcc: victim@example.org\r\nX-Injected: 1\r\n\r\n<p>Body</p>"


def good(postal, **values):
    return {
        "to": ["bob@example.org"],
        "from": f"app@{postal.domain}",
        "subject": "S",
        "plain_body": "Hello",
        **values,
    }


def cases(domain):
    """Parameters with a line break where a header is made of them."""
    return {
        "subject": {"subject": INJECTED},
        "sender": {"sender": INJECTED},
        "reply_to": {"reply_to": f"a@example.org{INJECTED}"},
        "from": {"from": f'"{INJECTED}" <app@{domain}>'},
        "to": {"to": [f'"{INJECTED}" <bob@example.org>']},
        "cc": {"cc": [f"carl@example.org, {INJECTED}"]},
        "custom header": {"headers": {"X-Custom": INJECTED}},
        "attachment name": {
            "attachments": [{"name": INJECTED, "content_type": "text/plain", "data": "eA=="}],
        },
        "attachment type": {
            "attachments": [{"name": "a", "content_type": f"text/plain; a={INJECTED}", "data": "eA=="}],
        },
        "tag": {"tag": INJECTED},
    }


@pytest.mark.parametrize("name", cases("example.test"))
def test_header_injection_through_a_parameter_adds_no_header(postal, call, name):
    answer = call("send/message", good(postal, **cases(postal.domain)[name]))
    assert answer.status_code == 200
    if answer.json()["status"] != "success":
        return  # refused as a whole
    for message in postal.messages():
        assert message["rcpt_to"] in ("bob@example.org", "carl@example.org") or "\n" not in message["rcpt_to"]
    caught = postal.outbox.wait_for(to="bob@example.org")
    assert caught.message["X-Injected"] is None
    assert caught.message["Bcc"] is None
    for part in caught.message.walk():
        assert part["X-Injected"] is None
    assert caught.text.strip() == "Hello"


@pytest.mark.parametrize("name", ["A\r\nX-Injected", "A: 1\r\nX-Injected", "A B", "", "Ü", "A\n"])
def test_header_injection_through_a_header_name_is_refused(postal, call, name):
    answer = call("send/message", good(postal, headers={name: "1"})).json()
    assert answer["status"] == "parameter-error"


@pytest.mark.parametrize("field", ["to", "cc", "bcc"])
@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\0"], ids=repr)
def test_command_injection_through_a_recipient_is_refused(postal, call, field, break_):
    """With an authorized sender, so that nothing else refuses it."""
    recipient = f"bob@example.org{break_}RCPT TO:victim@example.org"
    assert call("send/message", good(postal, **{field: [recipient]})).json()["status"] == "error"
    data = base64.b64encode(f"From: app@{postal.domain}\r\n\r\nx".encode()).decode()
    raw = {"mail_from": f"app@{postal.domain}", "rcpt_to": [recipient], "data": data}
    assert call("send/raw", raw).json()["status"] == "error"
    assert postal.messages() == []


@pytest.mark.parametrize("action", ["messages/message", "messages/deliveries"])
@each(
    "value",
    [
        {"id": 1},
        {"1=1 OR id": 1},
        {"id` = 1 OR `id": 1},
        [1],
        [[1]],
        "1 OR 1=1",
        "1; DROP TABLE postal_server_message",
        "' OR '1'='1",
        "0x1",
        "1e0",
        1.0,
        True,
        -1,
        10**30,
    ],
)
def test_sql_through_an_id_finds_nothing(postal, postal_server, call, action, value):
    """Postal used an object as a column filter (contract, Q1)."""
    other = postal_server.add()
    sent = call("send/message", good(other), key=other.api_key).json()["data"]["messages"]
    assert call("send/message", good(postal)).json()["status"] == "success"
    answer = call(action, {"id": value})
    assert answer.status_code == 200
    assert answer.json()["status"] in ("parameter-error", "error")
    number = sent["bob@example.org"]["id"]
    foreign = call(action, {"id": number}).json()
    assert foreign["data"]["code"] == "MessageNotFound"
    assert call(action, {"id": number}, key=other.api_key).json()["status"] == "success"


SQL = [
    "1=1",
    "id = 1 OR 1=1",
    "messages`.`id",
    "'; DROP TABLE postal_server_message; --",
    '" OR ""="',
    "%' --",
]
SHAPES = {
    "text": lambda sql: sql,
    "list": lambda sql: [sql],
    "list of lists": lambda sql: [[sql]],
    "key": lambda sql: {sql: True},
    "value": lambda sql: {"status": sql},
    "list of objects": lambda sql: [{sql: sql}],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_sql_through_expansions_expands_nothing(postal, call, shape):
    """GHSA-x2hq-rfpg-3xr5: whatever condition is put there is no part of a query."""
    sent = call("send/message", good(postal)).json()["data"]["messages"]["bob@example.org"]
    plain = call("messages/message", {"id": sent["id"]}).json()["data"]
    for sql in SQL:
        answer = call("messages/message", {"id": sent["id"], "_expansions": shape(sql)})
        assert answer.status_code == 200
        assert answer.json()["data"] == plain
        mixed = call("messages/message", {"id": sent["id"], "_expansions": ["details", shape(sql)]}).json()
        assert mixed["data"].keys() - plain.keys() == {"details"}


@pytest.mark.parametrize("action", ["messages/message", "messages/deliveries"])
@each("sql", SQL)
def test_sql_through_another_parameter_finds_nothing_else(postal, postal_server, call, action, sql):
    other = postal_server.add()
    foreign = call("send/message", good(other), key=other.api_key).json()["data"]["messages"]
    number = foreign["bob@example.org"]["id"]
    for parameters in (
        {"id": number, sql: True},
        {"id": number, "server_id": other.id, "where": sql, "conditions": {sql: 1}, "order": sql},
        {"id": {sql: number, "id": number}},
        {"id": [{sql: number}]},
    ):
        answer = call(action, parameters)
        assert answer.status_code == 200
        assert answer.json()["status"] != "success"
    query = {f"id[{sql}]": "1", "params": json.dumps({"id": {sql: number}})}
    answer = requests.get(
        f"{postal.url}/api/v1/{action}", query, headers={"X-Server-API-Key": postal.api_key}, timeout=10
    )
    assert answer.status_code == 200
    assert answer.json()["status"] != "success"
    assert call(action, {"id": number}, key=other.api_key).json()["status"] == "success"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"attachments":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"headers":{"a":' + b"[" * 200 + b"]" * 200 + b"}}",
        b'{"id":' + b"9" * 5000 + b"}",
        b"\xff\xfe{}",
    ],
    ids=["arrays", "objects", "closed objects", "attachments", "headers", "digits", "UTF-16"],
)
def test_json_bomb_has_a_clear_answer(postal, body):
    headers = {"X-Server-API-Key": postal.api_key, "Content-Type": "application/json"}
    for action in ("send/message", "send/raw", "messages/message"):
        answer = requests.post(f"{postal.url}/api/v1/{action}", body, headers=headers, timeout=20)
        assert answer.status_code in (200, 400)
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("authenticated", [False, True])
def test_unbounded_body_that_is_announced_is_not_read(postal, growth, authenticated):
    key = postal.api_key if authenticated else "stranger"
    head = f"POST /api/v1/send/message HTTP/1.1\r\nHost: 127.0.0.1:{postal.running.web_port}\r\n"
    head += f"X-Server-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: 9999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", postal.running.web_port), timeout=20) as wire:
        wire.sendall(head.encode())
        status = wire.recv(100)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                wire.sendall(b" " * MEGABYTE)
    assert status.startswith(b"HTTP/1.1 413 " if authenticated else b"HTTP/1.1 200 ")
    assert growth() < 8 * MEGABYTE


def test_unbounded_body_in_chunks_ends(postal, growth):
    head = f"POST /api/v1/send/message HTTP/1.1\r\nHost: 127.0.0.1:{postal.running.web_port}\r\n"
    head += f"X-Server-API-Key: {postal.api_key}\r\nContent-Type: application/json\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", postal.running.web_port), timeout=20) as wire:
        wire.sendall(head.encode())
        chunk = b"%x\r\n%s\r\n" % (MEGABYTE, b" " * MEGABYTE)
        with contextlib.suppress(ConnectionError):
            while sent < 200:
                wire.sendall(chunk)
                sent += 1
    assert sent < 200, "the server took all of it"
    assert growth() < 300 * MEGABYTE


def test_endless_header_is_cut_off(postal, growth):
    with socket.create_connection(("127.0.0.1", postal.running.web_port), timeout=20) as wire:
        wire.sendall(b"POST /api/v1/send/message HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for number in range(200_000):
                wire.sendall(b"X-A%d: %s\r\n" % (number, b"y" * 200))
            raise AssertionError("the server took all of it")
    assert growth() < 40 * MEGABYTE


def test_credential_echo_is_for_the_wire_only(postal, call):
    """Postal echoes a wrong key to whoever sent it; nobody else reads it, in a log for instance."""
    guess = "SECRET-guess-of-an-api-key"
    answer = call("send/message", good(postal), key=guess).json()
    assert answer["data"]["code"] == "InvalidServerAPIKey"
    assert answer["data"]["token"] == guess
    assert call("send/message", good(postal)).json()["status"] == "success"
    call("send/message", {"to": 5})
    requests.get(f"{postal.url}/api/v1/send/message?key={postal.api_key}", timeout=10)
    log = postal.running.log_path.read_text("utf-8", "replace")
    for text in (guess, postal.api_key, postal.smtp_key, postal.running.control_token):
        assert text not in log


def test_credential_echo_is_no_markup(postal, call):
    answer = call("send/message", good(postal), key="<script>alert(1)</script>")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"<script>" not in answer.content
    assert json.loads(answer.content)["data"]["token"] == "<script>alert(1)</script>"


def test_html_in_delivery_details_is_kept_as_text(postal, call):
    """What a remote host says is stored as it is said; pages escape it (see the administration's tests)."""
    postal.simulate("bob@example.org", "550 <script>alert(1)</script> <msg:1>")
    number = call("send/message", good(postal)).json()["data"]["messages"]["bob@example.org"]["id"]
    for _ in range(200):
        deliveries = call("messages/deliveries", {"id": number})
        if deliveries.json()["data"]:
            break
    assert b"<script>" not in deliveries.content  # JSON that can stand in a page
    assert "<script>alert(1)</script>" in deliveries.json()["data"][0]["output"]
