"""The API client: the four calls."""

import base64
from typing import Any

import pytest
import requests
from anymail.exceptions import AnymailConfigurationError

from anymail_postal import errors
from anymail_postal.client import PostalClient
from tests.each import each

from .answers import KEY, URL, FakePostal, envelope, error, success


@pytest.fixture(autouse=True)
def configured(settings: Any) -> None:
    settings.ANYMAIL = {"POSTAL_API_KEY": KEY, "POSTAL_API_URL": f"{URL}/"}


@pytest.fixture
def postal(monkeypatch: pytest.MonkeyPatch) -> FakePostal:
    return FakePostal().install(monkeypatch)


def test_send_posts_the_parameters(postal: FakePostal) -> None:
    postal.answers = [success("a@b.test")]
    result = PostalClient().send({"to": ["a@b.test"], "subject": "Ü"})
    assert result.messages == {"a@b.test": 1}
    (call,) = postal.calls
    assert (call["method"], call["url"]) == ("POST", f"{URL}/api/v1/send/message")
    assert call["headers"] == {
        "X-Server-API-Key": KEY,
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    assert call["allow_redirects"] is False
    assert call["timeout"] == 30
    assert postal.body == {"to": ["a@b.test"], "subject": "Ü"}


@pytest.mark.parametrize(("bounce", "extra"), [(False, {}), (True, {"bounce": True})], ids=["mail", "bounce"])
def test_send_raw_posts_the_bytes(postal: FakePostal, bounce: bool, extra: dict[str, Any]) -> None:
    result = PostalClient().send_raw("f@b.test", ["a@b.test"], b"Subject: \xfc\r\n\r\n", bounce=bounce)
    assert result.rfc_message_id == "made@rp.example.test"
    data = base64.b64encode(b"Subject: \xfc\r\n\r\n").decode()
    assert postal.body == {"mail_from": "f@b.test", "rcpt_to": ["a@b.test"], "data": data, **extra}
    assert postal.endpoints == ["send/raw"]


@pytest.mark.parametrize(
    ("expansions", "sent"), [((), []), (("status", "details"), ["status", "details"]), (True, True)], ids=str
)
def test_message_asks_for_expansions(postal: FakePostal, expansions: Any, sent: object) -> None:
    postal.answers = [envelope("success", {"id": 7, "token": "t"})]
    assert PostalClient().message(7, expansions).id == 7
    assert postal.body == {"id": 7, "_expansions": sent}


def test_deliveries(postal: FakePostal) -> None:
    postal.answers = [envelope("success", [])]
    assert PostalClient().deliveries(7) == []
    assert postal.endpoints == ["messages/deliveries"]


@each("postal_id", ["7", 7.0, True, None, {"id": 7}], ids=repr)
def test_ids_must_be_ints(postal: FakePostal, postal_id: Any) -> None:
    for look_up in (PostalClient().message, PostalClient().deliveries):
        with pytest.raises(TypeError, match="int"):
            look_up(postal_id)
    assert postal.calls == []


def test_ping_is_content_with_a_message_not_found(postal: FakePostal) -> None:
    postal.answers = [error("MessageNotFound", id=0), error("InvalidServerAPIKey", token=KEY)]
    PostalClient().ping()
    with pytest.raises(errors.PostalAuthError):
        PostalClient().ping()


def test_the_server_is_named(postal: FakePostal, settings: Any) -> None:
    settings.ANYMAIL = {"POSTAL_SERVERS": {"eu": {"api_key": "eu-key", "api_url": "https://eu.test"}}}
    result = PostalClient("eu").send({"to": ["a@b.test"]})
    assert result.messages["a@b.test"].server == "eu"
    assert postal.calls[0]["headers"]["X-Server-API-Key"] == "eu-key"
    with pytest.raises(errors.UnknownServer):
        PostalClient("us")
    with pytest.raises(AnymailConfigurationError, match="POSTAL_API_KEY"):
        PostalClient()


def test_only_a_session_of_its_own_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[requests.Session] = []

    def close(session: requests.Session) -> None:
        closed.append(session)

    monkeypatch.setattr(requests.Session, "close", close)
    theirs = requests.Session()
    with PostalClient(session=theirs) as borrowing:
        assert borrowing.session is theirs
    assert closed == []
    with PostalClient() as owning:
        pass
    assert closed == [owning.session]
