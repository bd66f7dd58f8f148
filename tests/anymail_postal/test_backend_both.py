"""One suite against two servers: the recorded answers of a real Postal, and a running `postal_server`.

The first answers through `responses`, the second over HTTP; every send and look-up must end alike.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import responses

from anymail_postal import conf, wire
from anymail_postal.backend import EmailBackend
from anymail_postal.client import PostalClient
from anymail_postal.errors import PostalAPIError, PostalMessageNotFound

from .answers import URL
from .test_backend_recorded import CASES, RECORDED, answer_of, django_mail, is_success, params_of

if TYPE_CHECKING:
    from postal_server.testing import RunningServer

BY_NAME = {case["name"]: case for case in RECORDED}
KEY = BY_NAME["minimal"]["request"]["headers"]["X-Server-API-Key"]
DOMAIN = "example.test"  # the sending one in the recording


@dataclass
class Recorded:
    """Answers as Postal once did."""

    mock: responses.RequestsMock
    url = URL
    key = KEY

    def expect(self, case: dict[str, Any]) -> None:
        answer = case["response"]
        url = self.url + case["request"]["path"]
        self.mock.add(responses.POST, url, body=answer["body"], status=answer["status"])

    def id_of(self, name: str) -> int:
        """The id that the mail of a case got."""
        (details,) = answer_of(BY_NAME[name])["data"]["messages"].values()
        return int(details["id"])


@dataclass
class Running:
    """Answers by itself."""

    url: str
    key: str

    def expect(self, case: dict[str, Any]) -> None:
        pass

    def id_of(self, name: str) -> int:
        message = django_mail(params_of(BY_NAME[name]))
        EmailBackend(api="message").send_messages([message])
        return int(message.anymail_status.message_id)


@pytest.fixture(scope="module")
def running(postal_server: RunningServer) -> Running:
    made = postal_server.add(DOMAIN)
    return Running(made.url, made.api_key)


@pytest.fixture(params=["recorded", "running"])
def server(
    request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recorded | Running]:
    monkeypatch.setattr(conf, "store", lambda: None)
    with responses.RequestsMock(assert_all_requests_are_fired=True) as mock:
        if request.param == "recorded":
            found: Recorded | Running = Recorded(mock)
        else:
            found = request.getfixturevalue("running")
            mock.add_passthru(found.url)
        settings.ANYMAIL = {"POSTAL_API_URL": found.url, "POSTAL_API_KEY": found.key}
        yield found


def outcome(send: Any) -> Any:
    """The code of an error, or the recipients that have a message."""
    try:
        found = send()
    except PostalAPIError as error:
        return error.code
    return sorted(found)


def recorded_outcome(case: dict[str, Any]) -> Any:
    answer = answer_of(case)
    if is_success(case):
        return sorted(answer["data"]["messages"])
    return answer["data"].get("code", answer["status"]) if answer else None


# --- sending ---

# Of another mail server, domain or host of the recording.
ELSEWHERE = {"from-any-domain", "from-organisation-domain", "own-return-path"}
PREFIXES = ("auth-", "private-", "track-", "transport-")
# Postal's server errors, which are no example: see tests/vectors/deviations.json.
DEVIATIONS = {"tag-300", "to-over-255", "raw-latin1-subject"}
SENDS = [
    case
    for case in CASES
    if case["name"] not in ELSEWHERE | DEVIATIONS and not case["name"].startswith(PREFIXES)
]


@pytest.mark.parametrize("case", SENDS, ids=lambda case: case["name"])
def test_a_mail_ends_as_recorded(server: Recorded | Running, case: dict[str, Any]) -> None:
    server.expect(case)
    message = django_mail(params_of(case))

    def send() -> Any:
        EmailBackend(api="message", ignore_unsupported_features=True).send_messages([message])
        assert message.anymail_status.status == {"queued"}
        for status in message.anymail_status.recipients.values():
            assert status.message_id > 0
            assert status.message_id.token
            assert "@" in status.message_id.rfc_message_id
        return message.anymail_status.recipients

    assert outcome(send) == recorded_outcome(case)


NOT_FOR_OUR_CLIENT = {"raw-bad-base64", "raw-rcpt-string"}  # it takes bytes, and a list
RAW = [
    case
    for case in RECORDED
    if case["request"]["path"] == "/api/v1/send/raw"
    and {"mail_from", "rcpt_to", "data"} <= json.loads(case["request"]["body"]).keys()
    and case["name"] not in NOT_FOR_OUR_CLIENT | DEVIATIONS
]


@pytest.mark.parametrize("case", RAW, ids=lambda case: case["name"])
def test_a_raw_mail_ends_as_recorded(server: Recorded | Running, case: dict[str, Any]) -> None:
    server.expect(case)
    params = json.loads(case["request"]["body"])
    data = base64.b64decode(params["data"])

    def send() -> Any:
        with PostalClient() as client:
            bounce = params.get("bounce", False)
            return client.send_raw(params["mail_from"], params["rcpt_to"], data, bounce=bounce).messages

    assert outcome(send) == recorded_outcome(case)


def test_an_unknown_key_ends_as_recorded(server: Recorded | Running) -> None:
    case = BY_NAME["auth-unknown"]
    server.expect(case)
    message = django_mail(params_of(BY_NAME["minimal"]))
    send = EmailBackend(api_key="nosuchkey1").send_messages
    assert outcome(lambda: send([message])) == recorded_outcome(case) == "InvalidServerAPIKey"


# --- looking up ---


# The mail of one case is looked up by another.
LOOKUPS = {
    "attachment-two": "get-all-attachment-two",
    "html-and-plain": "get-all-html",
    "unicode-body": "get-all-unicode",
}


@pytest.mark.parametrize(("case", "lookup"), LOOKUPS.items(), ids=LOOKUPS)
def test_a_message_is_what_was_sent(server: Recorded | Running, case: str, lookup: str) -> None:
    params = params_of(BY_NAME[case])
    server.expect(BY_NAME[lookup])
    with PostalClient() as client:
        found = client.message(server.id_of(case), True)
    assert isinstance(found.id, wire.PostalMessageId)
    assert found.direction == "outgoing"
    assert found.subject == params["subject"]
    assert [found.recipient] == params["to"]
    assert (found.plain_body or "").strip() == params.get("plain_body", "").strip()
    assert (found.html_body or "").strip() == params.get("html_body", "").strip()
    assert [each.filename for each in found.attachments] == [
        each["name"] for each in params.get("attachments", [])
    ]
    assert f"Subject: Case {case}".encode() in (found.raw_message or b"")


@pytest.mark.parametrize("call", ["message", "deliveries"])
def test_a_message_that_is_not_there(server: Recorded | Running, call: str) -> None:
    server.expect(BY_NAME["get-unknown" if call == "message" else "deliveries-unknown"])
    with PostalClient() as client, pytest.raises(PostalMessageNotFound):
        getattr(client, call)(99_999_999)
