"""Sends recorded from a real Postal: the same mails, sent through Django, make the same requests.

Left out are the requests that no Django mail makes: other transports, wrong types, missing fields.
"""

from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from anymail.message import AnymailMessage

from anymail_postal import conf, errors
from anymail_postal.backend import EmailBackend

from .answers import KEY, URL, FakePostal, answer

RECORDED = json.loads((Path(__file__).parent.parent / "vectors/recorded/api.json").read_text())

# What Django, or Anymail's reading of addresses, cannot express, by the reason.
NOT_A_DJANGO_MAIL = {
    "no subject": {"no-subject", "html-only", "none", "two-errors"},
    "no From, or one that is no address": {"no-from", "from-number", "from-two-addresses"},
    "no body: Django's is an empty text": {"no-content"},
    "no recipient": {"no-recipients", "to-empty-list"},
    "recipients that are no addresses, or no list": {
        "to-string", "to-string-comma", "to-not-an-address", "to-angle-empty", "to-null-in-list",
        "to-number-in-list",
    },
    "domains are sent in ASCII": {"to-idn"},
    "attachments of a wrong shape": {
        "attachment-no-name", "attachment-no-data", "attachment-no-type", "attachment-odd-type",
        "attachments-string",
    },
    "headers of a wrong shape": {"headers-not-object"},
    "its Reply-To and To headers are parameters": {"custom-reply-to-header", "custom-to-header"},
}  # fmt: skip
EXCLUDED = set().union(*NOT_A_DJANGO_MAIL.values())


def is_plain_post(case: dict[str, Any]) -> bool:
    request = case["request"]
    return bool(
        request["path"] == "/api/v1/send/message"
        and request["method"] == "POST"
        and request["headers"].get("Content-Type") == "application/json"
        and request["body"].startswith("{")
        and case["name"] not in ("transport-malformed-json", "transport-accept-json-error")
        and not case["name"].startswith("auth-malformed")
    )


CASES = [case for case in RECORDED if is_plain_post(case) and case["name"] not in EXCLUDED]
KNOWN = {"to", "cc", "bcc", "from", "subject", "plain_body", "html_body", "reply_to", "headers", "tag",
         "attachments", "sender"}  # fmt: skip


def django_mail(params: dict[str, Any]) -> AnymailMessage:
    """The Django mail that `params` describe."""
    message = AnymailMessage(
        subject=params["subject"],
        body=params.get("plain_body", params.get("html_body", "")),
        from_email=params["from"],
        **{name: params[name] for name in ("to", "cc", "bcc", "headers") if name in params},
    )
    if "plain_body" not in params and "html_body" in params:
        message.content_subtype = "html"
    elif "html_body" in params:
        message.attach_alternative(params["html_body"], "text/html")
    if "reply_to" in params:
        message.reply_to = [params["reply_to"]]
    if "sender" in params:
        message.envelope_sender = params["sender"]
    if "tag" in params:
        message.tags = [params["tag"]]
    for attachment in params.get("attachments", []):
        mimetype = attachment["content_type"].partition(";")[0]
        message.attach(attachment["name"], base64.b64decode(attachment["data"]), mimetype)
    extra = {name: value for name, value in params.items() if name not in KNOWN}
    if extra:
        message.esp_extra = extra
    return message


def params_of(case: dict[str, Any]) -> dict[str, Any]:
    """The recorded parameters; text attachments have their charset, which Django always knows."""
    params: dict[str, Any] = json.loads(case["request"]["body"])
    for attachment in params.get("attachments", []):
        if attachment["content_type"].startswith("text/"):
            attachment["content_type"] += '; charset="utf-8"'
    return params


def answer_of(case: dict[str, Any]) -> dict[str, Any]:
    return json.loads(case["response"]["body"]) if case["response"]["status"] == 200 else {}


def is_success(case: dict[str, Any]) -> bool:
    return answer_of(case).get("status") == "success"


def assert_status(case: dict[str, Any], message: AnymailMessage) -> None:
    """Each recipient has the recorded ids."""
    data = answer_of(case)["data"]
    recipients = message.anymail_status.recipients
    assert recipients.keys() == data["messages"].keys()
    for address, details in data["messages"].items():
        message_id = recipients[address].message_id
        assert (message_id, message_id.token) == (details["id"], details["token"])
    assert {status.message_id.rfc_message_id for status in recipients.values()} == {data["message_id"]}


@pytest.fixture
def postal(monkeypatch: pytest.MonkeyPatch) -> FakePostal:
    monkeypatch.setattr(conf, "store", lambda: None)
    return FakePostal().install(monkeypatch)


def send(case: dict[str, Any], postal: FakePostal, api: str) -> AnymailMessage:
    """Send the mail of a recorded case, and get the recorded answer."""
    response = case["response"]
    postal.answers = [answer(response["body"], response["status"])]
    message = django_mail(params_of(case))
    EmailBackend(api_key=KEY, api_url=URL, api=api, ignore_unsupported_features=True).send_messages([message])
    return message


def test_most_recorded_sends_are_mails_of_django() -> None:
    assert len(CASES) > 80
    assert {case["name"] for case in RECORDED} >= EXCLUDED


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_request_is_reproduced(postal: FakePostal, case: dict[str, Any]) -> None:
    wanted = params_of(case)
    if case["name"] == "reply-to-two":  # of which this mode sends the first
        wanted["reply_to"] = wanted["reply_to"].partition(",")[0]
    if is_success(case):
        assert_status(case, send(case, postal, "message"))
    else:
        with pytest.raises(errors.PostalAPIError) as raised:
            send(case, postal, "message")
        assert raised.value.code == answer_of(case).get("data", {}).get("code")
    assert postal.body == wanted


# What auto sends otherwise, by the reason.
BY_RAW = {
    "custom-message-id", "attachment-eml", "attachment-empty-data", "blank-content", "to-51", "cc-51",
    "bcc-51",
}  # fmt: skip
REFUSED_HERE = {"subject-newline", "custom-header-newline-value"}
REWRITTEN = {"to-duplicates", "x-postal-msgid"}


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case["name"] not in BY_RAW | REFUSED_HERE | REWRITTEN],
    ids=lambda case: case["name"],
)
def test_auto_makes_the_same_request_where_send_message_will_do(
    postal: FakePostal, case: dict[str, Any]
) -> None:
    with nullcontext() if is_success(case) else pytest.raises(errors.PostalAPIError):
        send(case, postal, "auto")
    assert postal.endpoints == ["send/message"]
    wanted = params_of(case)
    if case["name"].startswith("tag-3"):  # Postal answers a longer tag with a server error
        wanted["tag"] = wanted["tag"][:255]
    assert postal.body == wanted


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["name"] in BY_RAW], ids=lambda case: case["name"]
)
def test_auto_sends_raw_what_send_message_refuses_or_changes(
    postal: FakePostal, case: dict[str, Any]
) -> None:
    postal.answers = []
    message = django_mail(params_of(case))
    EmailBackend(api_key=KEY, api_url=URL).send_messages([message])
    assert postal.endpoints == ["send/raw"]
    assert message.anymail_status.status == {"queued"}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["name"] in REFUSED_HERE], ids=lambda case: case["name"]
)
def test_auto_refuses_line_breaks_in_headers(postal: FakePostal, case: dict[str, Any]) -> None:
    with pytest.raises(errors.PostalHeaderError, match="line break"):
        EmailBackend(api_key=KEY, api_url=URL).send_messages([django_mail(params_of(case))])
    assert postal.calls == []
