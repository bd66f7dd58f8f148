"""Posts to HTTP endpoints, against those that Postal made of the same mail."""

import base64
import json
import re
from datetime import datetime, timezone
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

from postal_server.mail.message import message_id, parts
from postal_server.wire import endpoint
from tests.each import each

CORPUS = Path(__file__).parents[2] / "vectors/recorded"
MADE_UP_NAME = re.compile(r"\b\d+\.eml")  # of an attached message without a name: random in Postal


def _posts():
    """(label, content type, body) of every recorded post whose mail is known."""
    for row in json.loads((CORPUS / "wire.json").read_text()):
        label = row.get("request", "").split(" ")[1:2]
        if row["kind"] == "http" and label and label[0].startswith("/inbound/"):
            yield (
                label[0].rpartition("/")[2],
                dict(row["headers"])["Content-Type"],
                base64.b64decode(row["body"]),
            )


def _mails():
    """What was sent in, by recipient and Message-ID."""
    found = {}
    for case in json.loads((CORPUS / "inbound.json").read_text()):
        raw = base64.b64decode(case["data"])
        found[case["recipient"], message_id(raw)] = (case["name"], raw)
    return found


MAILS = _mails()


def _cases(is_raw):
    for label, content_type, body in _posts():
        if ("base64" in json.loads(body) if "json" in content_type else b"&base64=" in body) is not is_raw:
            continue
        said = (
            json.loads(body)
            if "json" in content_type
            else dict(parse_qsl(body.decode(), keep_blank_values=True))
        )
        if is_raw:
            yield label, content_type, body, said, None
            continue
        key = (said["rcpt_to"], said.get("message_id") or None)
        if key in MAILS:
            name, raw = MAILS[key]
            if name in ("body-latin1-undeclared", "nested-multipart"):
                continue  # what Postal loses of them is posted: see test_message_view.py
            yield label, content_type, body, said, raw


def _message(said, body):
    flag = {"true": True, "false": False, True: True, False: False}.get
    return SimpleNamespace(
        id=int(said["id"]),
        rcpt_to=said["rcpt_to"],
        mail_from=said.get("mail_from") or None,
        subject=said.get("subject") if b"subject&" not in body else None,
        message_id=said.get("message_id") or None,
        created_at=datetime.fromtimestamp(float(said.get("timestamp", 0)), timezone.utc),
        size_bytes=int(said["size"]),
        is_bounce=flag(said.get("bounce")),
        received_with_ssl=flag(said.get("received_with_ssl")),
        stream="",
    )


def _stable(body: bytes) -> str:
    text = MADE_UP_NAME.sub("N.eml", body.decode())
    return re.sub(r"(timestamp[\":=]+)(\d+\.\d{1,6})\d*", lambda m: m[1] + f"{float(m[2]):.4f}", text)


@each("label, content_type, body, said, raw", list(_cases(is_raw=False)), ids=itemgetter(0, 1))
def test_a_parsed_mail_is_posted_byte_for_byte_as_recorded_but_for_a_last_key(
    label, content_type, body, said, raw
):
    is_form = "json" not in content_type
    payload = endpoint.hash_payload(
        _message(said, body),
        said["token"],
        parts(raw),
        spam=said["spam_status"],
        strip_replies="strip" in label,
        include_attachments="noattach" not in label,
        is_form=is_form,
    )
    assert payload.popitem() == ("stream", None)
    written, written_type = endpoint.hash_body(payload, endpoint.AS_FORM if is_form else endpoint.AS_JSON)
    assert _stable(written) == _stable(body)
    assert written_type == content_type


@each("label, content_type, body, said, raw", list(_cases(is_raw=True)), ids=itemgetter(0, 1))
def test_a_raw_mail_is_posted_byte_for_byte_as_recorded(label, content_type, body, said, raw):
    is_form = "json" not in content_type
    encoding = endpoint.AS_FORM if is_form else endpoint.AS_JSON
    text = base64.b64decode(said["message"])
    written, written_type = endpoint.raw_body(_message(said, body), text, encoding)
    assert written == body
    assert written_type == content_type


def test_the_recordings_cover_all_formats():
    labels = {label for label, _, _ in _posts()}
    assert {"in", "hash-form", "raw-json", "raw-form", "hash-json-strip", "hash-json-noattach"} <= labels


@each(
    "payload, fields",
    [
        ({"a": None, "b": "", "c": True, "d": 5}, "a&b=&c=true&d=5"),
        ({"reply_to": ["a@b"]}, "reply_to=a%40b"),
        ({"attachments": []}, ""),
        (
            {"attachments": [{"filename": "a b~.txt", "size": 1}]},
            "attachments%5B0%5D%5Bfilename%5D=a+b%7E.txt&attachments%5B0%5D%5Bsize%5D=1",
        ),
        ({"t": "ü*\r\n"}, "t=%C3%BC*%0D%0A"),
    ],
)
def test_forms(payload, fields):
    assert endpoint.hash_body(payload, endpoint.AS_FORM) == (
        fields.encode(),
        "application/x-www-form-urlencoded",
    )
