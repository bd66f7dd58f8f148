"""Exceptions: whose children they are, what they say, and that they never tell the key."""

import pickle
from typing import Any

import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailConfigurationError,
    AnymailError,
    AnymailRequestsAPIError,
    AnymailWebhookValidationFailure,
)
from django.core.exceptions import SuspiciousOperation

from anymail_postal import errors
from anymail_postal.api import network_error
from tests.each import each

from .answers import KEY, answer, envelope, error


@each(
    "kind, parents",
    [
        (
            errors.PostalAPIError,
            (errors.PostalError, AnymailRequestsAPIError, AnymailAPIError, requests.HTTPError),
        ),
        (errors.PostalAuthError, (errors.PostalAPIError,)),
        (errors.PostalServerSuspended, (errors.PostalAPIError,)),
        (errors.PostalSenderError, (errors.PostalAPIError,)),
        (errors.PostalValidationError, (errors.PostalAPIError,)),
        (errors.PostalMessageNotFound, (errors.PostalAPIError,)),
        (errors.PostalResponseError, (errors.PostalAPIError,)),
        (errors.PostalMetadataTooLarge, (errors.PostalError, AnymailError, ValueError)),
        (errors.PostalHeaderError, (errors.PostalError, AnymailError, ValueError)),
        (
            errors.WebhookSignatureError,
            (errors.PostalError, AnymailWebhookValidationFailure, SuspiciousOperation),
        ),
        (errors.KeysUnavailable, (errors.PostalError,)),
        (errors.ReplyTokenError, (errors.PostalError,)),
        (errors.UnknownServer, (errors.PostalError, AnymailConfigurationError, LookupError)),
    ],
)
def test_parents(kind: type[Exception], parents: tuple[type, ...]) -> None:
    assert all(issubclass(kind, parent) for parent in parents)
    assert "it" in str(kind("it"))


def test_configuration_errors_cannot_be_silenced() -> None:
    assert not issubclass(errors.UnknownServer, AnymailError)


def refusal(body: object, status: int = 200) -> errors.PostalAPIError:
    response = answer(body, status, "Fine" if status == 200 else "Not Fine")
    response.request = requests.Request(
        "POST", "https://p.test/", headers={"X-Server-API-Key": KEY}
    ).prepare()
    return errors.PostalAPIError("Refused.", code="Odd", response=response)


def test_the_text_holds_status_and_answer() -> None:
    text = str(refusal(error("NoContent", message="There is no content")))
    assert text.startswith("Refused.\nPostal API response 200 (Fine):\n{")
    assert '"code": "NoContent"' in text


@each(
    "body, expected",
    [
        ("<html>Bad Gateway", "Postal API response 502 (Not Fine): '<html>Bad Gateway'"),
        ("", "Postal API response 502 (Not Fine): ''"),
        (b"\xff\xfe", "Postal API response 502 (Not Fine): "),
        ([1], "Postal API response 502 (Not Fine):\n[\n  1\n]"),
    ],
    ids=["html", "empty", "binary", "list"],
)
def test_answers_of_others_are_shown_as_they_are(body: object, expected: str) -> None:
    assert expected in str(refusal(body, 502))


@each(
    "body, shown",
    [
        (error("InvalidServerAPIKey", message="not valid", token=KEY), '"token": "[redacted]"'),
        (envelope("error", {"token": "another secret"}), '"token": "[redacted]"'),
        (error("Odd", headers={"x-server-api-key": KEY}), '"x-server-api-key": "[redacted]"'),
        (f"you sent X-Server-API-Key: {KEY}", "you sent X-Server-API-Key: [redacted]"),
        (envelope("error", [KEY]), "[redacted]"),
    ],
    ids=["postal", "token", "echo", "proxy", "list"],
)
def test_the_key_is_redacted(body: object, shown: str) -> None:
    raised = refusal(body)
    assert shown in str(raised)
    for text in (str(raised), repr(raised)):
        assert KEY not in text
        assert "another secret" not in text


PAGE = "<!DOCTYPE html><html><head><title lang='en'>\n  Not found &amp;\n gone</title></head>" + "<p>x" * 500


@each(
    "body, shown",
    [
        (PAGE, ": a page with the title 'Not found & gone'; is POSTAL_API_URL the address of Postal's"),
        ("<p>" * 500, ": a page; is POSTAL_API_URL the address"),
        ("proxy " * 500, ": 'proxy proxy "),
        (f"<title>{KEY}</title>" + "<p>" * 500, "with the title '[redacted]'"),
    ],
    ids=["title", "no title", "text", "key"],
)
def test_of_a_long_answer_that_is_not_postals_a_line_is_shown(body: str, shown: str) -> None:
    text = str(refusal(body, 404))
    assert shown in text
    assert len(text) < 500
    assert KEY not in text


def test_tokens_of_messages_are_no_secret() -> None:
    assert "token7" in str(refusal({"status": "odd", "data": {"messages": {"a@b": {"token": "token7"}}}}))


def test_without_a_response_there_is_only_the_text() -> None:
    raised = errors.PostalAPIError("No answer.")
    assert str(raised) == "No answer."
    assert repr(raised) == "<PostalAPIError: No answer. code=None>"
    assert raised.esp_name == "Postal"


def test_a_response_without_its_request_is_described() -> None:
    assert "200" in str(errors.PostalAPIError(response=answer("x")))


def test_a_key_of_bytes_is_found_too() -> None:
    response = answer(f"echo {KEY}")
    response.request = requests.Request(
        "POST", "https://p.test/", headers={"X-Server-API-Key": KEY.encode()}
    ).prepare()
    assert KEY not in str(errors.PostalAPIError(response=response))


class Unpicklable:
    """Like a backend, a payload or a mail with an open file in it."""

    esp_name = "Postal"

    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")


def caused(raised: Exception, cause: Exception) -> Exception:
    raised.__cause__ = cause
    return raised


LIVE = {"backend": Unpicklable(), "payload": Unpicklable(), "email_message": Unpicklable()}
REFUSED = requests.ConnectionError("refused", request=requests.Request("POST", "https://p.test/").prepare())
ERRORS = [
    errors.PostalHeaderError("odd header", **LIVE),
    caused(errors.PostalHeaderError("odd header", **LIVE), ValueError("why")),
    caused(errors.PostalMetadataTooLarge("too large", **LIVE), ValueError("why")),
    caused(errors.WebhookSignatureError("bad"), ValueError("why")),
    errors.PostalMetadataTooLarge("too large", **LIVE),
    errors.WebhookSignatureError("bad"),
    errors.KeysUnavailable("unknown key"),
    errors.UnreadableBody("no JSON"),
    errors.ReplyTokenError("expired"),
    errors.UnknownServer("no such server"),
    *[
        kind("Refused.", code="Odd", response=refusal(error("Odd", token=KEY)).response, **LIVE)
        for kind in sorted(set(errors.CLASS_BY_CODE.values()), key=lambda kind: kind.__name__)
    ],
    caused(errors.PostalResponseError("Invalid", response=answer("<html>", 502), **LIVE), ValueError("x")),
    *[
        caused(network_error(cause, "https://p.test/", **LIVE), cause)
        for cause in (REFUSED, requests.ReadTimeout("2 s"), requests.TooManyRedirects("a", "b"))
    ],
]


@each("raised", ERRORS, ids=lambda raised: type(raised).__name__)
def test_every_error_can_be_pickled_for_a_task_queue_without_the_key(raised: Exception) -> None:
    pickled = pickle.dumps(raised)
    assert KEY.encode() not in pickled
    again = pickle.loads(pickled)
    assert type(again) is type(raised)
    assert (str(again), repr(again), again.args) == (str(raised), repr(raised), raised.args)
    assert getattr(again, "code", None) == getattr(raised, "code", None)
    assert getattr(again, "status_code", None) == getattr(raised, "status_code", None)
    assert str(pickle.loads(pickle.dumps(again))) == str(raised)


def test_a_network_error_is_caught_by_its_own_type_after_pickling() -> None:
    again = pickle.loads(pickle.dumps(network_error(requests.ReadTimeout("2 s"), "https://p.test/")))
    assert isinstance(again, requests.ReadTimeout)
    assert isinstance(again, errors.PostalAPIError)
