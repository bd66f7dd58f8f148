"""What strangers may send at a time is read in a moment: the event loop reads it, and serves nobody then.

Times are processor time, of the best of three; the bounds are ten times what was measured.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable

import pytest

from postal_server.errors import HostileInput, PostalServerError
from postal_server.smtpd.commands import parse_chunk, parse_command, parse_path
from postal_server.smtpd.options import MAX_LINE_BYTES
from postal_server.web.body import MAX_BUFFERED_BYTES
from postal_server.web.exchange import MAX_FIELDS, MAX_HEADER_BYTES
from postal_server.web.gateway import RequestHead, make_environ
from postal_server.wire import api
from postal_server.wire.http import LOOPBACK, read_request

OF_A_LINE = 0.0025  # seconds
OF_A_REQUEST = 0.25


def seconds(call: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(PostalServerError):
            call()
        found.append(time.process_time() - began)
    return min(found)


def repeated(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


@pytest.mark.parametrize("verb", ["MAIL FROM:", "RCPT TO:<", 'MAIL FROM:<"', "RCPT TO:<@", "BDAT ", "X"])
@pytest.mark.parametrize(
    "unit",
    [
        " ",
        "<",
        ">",
        "<>",
        '"',
        "\\",
        '""',
        '"a',
        "a",
        "@",
        ",",
        ":",
        "@a:",
        "@a,",
        "(",
        "[",
        " AUTH=",
        " a=",
        "\u00a0",
    ],
)
def test_command_line_is_read_in_a_moment(verb, unit):
    line = repeated(unit, MAX_LINE_BYTES - len(verb))

    def read() -> None:
        command = parse_command((verb + line).encode())
        parse_path(command.argument)
        with contextlib.suppress(HostileInput):
            parse_chunk(command.argument)

    assert seconds(read) < OF_A_LINE


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ([(b"X-Forwarded-For", b"127.0.0.1," * 6000)], b"/"),
        ([(b"X-Forwarded-For", b"," * 60_000)], b"/"),
        ([(b"A", b"x" * 300)] * MAX_FIELDS, b"/"),
        ([(b"Host", b":" * 60_000)], b"/"),
        ([], b"/" + b"%41" * (MAX_HEADER_BYTES // 3)),
        ([], b"/?" + b"a[]=1&" * (MAX_HEADER_BYTES // 6)),
        ([], b"http://" + b"/" * (MAX_HEADER_BYTES - 10)),
    ],
    ids=["proxies", "commas", "one name", "host", "escapes", "query", "slashes"],
)
def test_header_of_http_is_read_in_a_moment(fields, target):
    def read() -> None:
        head = RequestHead()
        head.add_target(target)
        for name, value in fields:
            head.add_field(name, value)
        head.complete(b"GET", "1.1")
        request = read_request(make_environ(head, ("127.0.0.1", 7), ("127.0.0.1", 80)), LOOPBACK)
        api.read_parameters("", b"", request.query)

    assert seconds(read) < OF_A_REQUEST


JSON, FORM, MULTIPART = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
)
BODIES = {
    "lists": (JSON, "["),
    "objects": (JSON, '{"a":'),
    "empty objects": (JSON, "[{},"),
    "digits": (JSON, "9"),
    "escapes": (JSON, '"\\u00e9'),
    "blanks": (JSON, " "),
    "lists of a form": (FORM, "a[]=1&"),
    "escapes of a form": (FORM, "%41"),
    "plus signs": (FORM, "+"),
    "boundaries": (MULTIPART, "--b\r\n"),
    "dashes": (MULTIPART, "-"),
    "header lines": (MULTIPART, "--b\r\na:\r\na:\r\na:\r\n"),
    "folds": (MULTIPART, "--b\r\nA:\r\n \r\n "),
    "quotes": (MULTIPART, '--b\r\nContent-Disposition: form-data; name="\\"\\"\\"'),
}


@pytest.mark.parametrize("name", BODIES)
def test_body_is_read_in_a_moment(name):
    content_type, unit = BODIES[name]
    text = repeated(unit, MAX_BUFFERED_BYTES)
    whole = {"digits": f'{{"id":{text}}}', "empty objects": "[" + "{}," * 20_000 + "{}]"}.get(name, text)
    assert seconds(lambda: api.read_parameters(content_type, whole.encode(), "")) < OF_A_REQUEST


@pytest.mark.parametrize(
    "values",
    [
        *(
            {"to": [unit * (60_000 // len(unit))]}
            for unit in ("(", '"', "\\", "<", "@", "a ", "a@b.example,", "=?")
        ),
        {"to": ["a@b.example"] * 4000},
        {"from": "a@b.example," * 5000},
        {"reply_to": "a@b.example," * 5000},
        {"subject": "ü" * 9000},
        {"headers": {f"X-{n}": "y" for n in range(5000)}},
        {"attachments": [{}] * 20_000},
    ],
    ids=lambda values: f"{next(iter(values))} {str(next(iter(values.values())))[:12]}",
)
def test_call_of_the_api_is_read_in_a_moment(values):
    given = {"to": ["b@c.example"], "from": "a@b.example", "plain_body": "x", **values}
    body = json.dumps(given).encode()

    def read() -> None:
        message = api.read_send_message(api.read_parameters(JSON, body, ""))
        api.recipients(message)

    assert seconds(read) < OF_A_REQUEST
