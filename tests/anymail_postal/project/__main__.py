"""Send mail and take all recorded posts, and print what the project sees of it as JSON.

Written for django-anymail alone: it imports nothing of this package.
"""

from __future__ import annotations

import base64
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
import responses
from anymail.exceptions import AnymailError
from anymail.message import AnymailMessage
from anymail.signals import inbound, post_send, pre_send, tracking
from django.core.mail import EmailMultiAlternatives, send_mail
from django.dispatch import Signal
from django.test import Client
from django.urls import reverse

from tests.anymail_postal.recorded import MAILS, WEBHOOKS, Post

SEND = "https://postal.example.test/api/v1/send/message"


# --- sending ---


def mail(**fields: Any) -> AnymailMessage:
    plain = {"subject": "Hello", "body": "Text", "from_email": "from@example.test", "to": ["to@example.test"]}
    return AnymailMessage(**{**plain, **fields})


def with_alternatives(*alternatives: tuple[str, str]) -> AnymailMessage:
    message = mail()
    for content, mimetype in alternatives:
        message.attach_alternative(content, mimetype)
    return message


def with_attachment(*attachment: Any) -> AnymailMessage:
    message = mail()
    message.attach(*attachment)
    return message


def with_image() -> AnymailMessage:
    message = mail()
    message.attach_inline_image(b"\x89PNG", "dot.png", "png")
    return message


# Alike whichever of Postal's calls may be used.
PLAIN: dict[str, Callable[[], Any]] = {
    "text": mail,
    "names": lambda: mail(
        from_email='"Ünal, Ö." <a@faß.test>', to=['"B, C" <b@c.test>', "d@bücher.test"], cc=["E <e@f.test>"]
    ),
    "bcc only": lambda: mail(to=[], bcc=["x@example.test"]),
    "reply-to": lambda: mail(reply_to=["R <r@example.test>"]),
    "reply-to header": lambda: mail(headers={"Reply-To": "h@example.test", "X-Int": 5, "X-Text": "Grüße"}),
    "html": lambda: with_alternatives(("<p>Text", "text/html")),
    "attachment": lambda: with_attachment("ü.pdf", b"%PDF\xff", "application/pdf"),
    "text attachment": lambda: with_attachment("a.txt", "é", "text/plain"),
    "envelope sender": lambda: mail(envelope_sender="e@example.test"),
    "tag": lambda: mail(tags=["welcome"]),
    "extra": lambda: mail(esp_extra={"bounce": True, "unknown": [1]}),
    "two tags": lambda: mail(tags=["a", "b"]),
    "two html parts": lambda: with_alternatives(("<p>1", "text/html"), ("<p>2", "text/html")),
    "a second text": lambda: with_alternatives(("text", "text/plain")),
    "another alternative": lambda: with_alternatives(("{}", "application/json")),
    "scheduled": lambda: mail(send_at=1_900_000_000),
    "tracked": lambda: mail(track_clicks=True),
    "to nobody": lambda: mail(to=[]),
}
# What only `send/raw`, or several calls, can carry (3.4).
RICH: dict[str, Callable[[], Any]] = {
    "unnamed attachment": lambda: with_attachment(None, b"\xff", "application/pdf"),
    "own message id": lambda: mail(headers={"Message-ID": "<own@example.test>"}),
    "two reply-tos": lambda: mail(reply_to=["a@example.test", "b@example.test"]),
    "two authors": lambda: mail(from_email="a@example.test, b@example.test"),
    "another to": lambda: mail(headers={"To": "list@example.test"}),
    "image": with_image,
    "calendar": lambda: with_alternatives(("BEGIN:VCALENDAR", "text/calendar")),
    "metadata": lambda: mail(metadata={"id": 1}),
    "no metadata": lambda: mail(metadata={}),
    "merge data": lambda: mail(merge_data={}),
    "merge metadata": lambda: mail(merge_metadata={"to@example.test": {"id": 1}}),
    "merge headers": lambda: mail(merge_headers={}),
    "global merge data": lambda: mail(merge_global_data={}),
}


def accept(request: Any) -> tuple[int, dict[str, str], str]:
    """Postal's answer: every recipient queued."""
    params = json.loads(request.body)
    named = params.get("rcpt_to") or [each for kind in ("to", "cc", "bcc") for each in params.get(kind, ())]
    addresses = [each.rpartition("<")[2].rstrip(">") for each in named]
    messages = {address: {"id": 41 + n, "token": f"t{n}"} for n, address in enumerate(addresses)}
    answer = {
        "status": "success",
        "time": 0,
        "flags": {},
        "data": {"message_id": "a@b", "messages": messages},
    }
    return 200, {}, json.dumps(answer)


def sent(message: EmailMultiAlternatives) -> dict[str, Any]:
    """What sending does: the calls, the signals, the status or the error."""
    seen: dict[str, Any] = {}
    with responses.RequestsMock(assert_all_requests_are_fired=False) as postal, listening(post_send) as told:
        postal.add_callback(responses.POST, SEND, accept)
        postal.add_callback(responses.POST, SEND.replace("/message", "/raw"), accept)
        try:
            seen["count"] = message.send()
        except AnymailError as error:
            seen["error"] = [kind.__name__ for kind in type(error).__mro__ if "anymail." in kind.__module__]
            seen["says"] = str(error).splitlines()[0]
        seen["calls"] = [call_of(call.request) for call in postal.calls]
    status = message.anymail_status  # type: ignore[attr-defined]
    seen["status"] = sorted(status.status or ())
    seen["ids"] = sorted(status.message_id) if isinstance(status.message_id, set) else status.message_id
    seen["recipients"] = {to: (each.status, each.message_id) for to, each in status.recipients.items()}
    seen["signals"] = [(call["sender"].__name__, call["esp_name"]) for call in told]
    return seen


def call_of(request: Any) -> Any:
    headers = {name: request.headers[name] for name in ("X-Server-API-Key", "Content-Type", "Accept")}
    body = {name: value for name, value in json.loads(request.body).items() if value != []}
    return request.method, request.url, headers, body


def refused(**answer: Any) -> dict[str, Any]:
    """What the project sees of an answer that is no success."""
    message = mail()
    with responses.RequestsMock() as postal:
        postal.post(SEND, **answer)
        try:
            message.send()
        except AnymailError as error:
            kinds = [kind.__name__ for kind in type(error).__mro__ if "anymail." in kind.__module__]
            return {"error": kinds, "status": getattr(error, "status_code", None)}
    raise AssertionError("It was no error.")


def seen_before_sending() -> list[str]:
    """The subjects that receivers of `pre_send` see."""
    with listening(pre_send) as calls, responses.RequestsMock() as postal:
        postal.add_callback(responses.POST, SEND, accept)
        assert send_mail("Hello", "Text", "from@example.test", ["to@example.test"]) == 1
    return [call["message"].subject for call in calls]


# --- receiving ---


@contextmanager
def listening(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    calls: list[dict[str, Any]] = []

    def receiver(**arguments: Any) -> None:
        calls.append(arguments)

    signal.connect(receiver)
    try:
        yield calls
    finally:
        signal.disconnect(receiver)


def taken(post: Post, kind: str, password: str = "password") -> dict[str, Any]:
    """What a post does: the answer, and what receivers see."""
    client = Client(raise_request_exception=False)
    authorization = "Basic " + base64.b64encode(f"user:{password}".encode()).decode()
    url = reverse(f"anymail:postal_{kind}_webhook")
    with listening(tracking) as tracked, listening(inbound) as received:
        response = client.post(
            url, post.body, content_type=post.content_type, HTTP_AUTHORIZATION=authorization, **post.meta
        )
    return {"url": url, "status": response.status_code, "seen": list(map(event_of, tracked + received))}


def event_of(call: dict[str, Any]) -> dict[str, Any]:
    event = call["event"]
    seen = {name: value for name, value in vars(event).items() if name not in ("postal", "message")}
    seen["sender"], seen["esp_name"] = call["sender"].__name__, call["esp_name"]
    if hasattr(event, "message"):
        seen["mail"] = mail_of(event.message)
    return seen


def mail_of(message: Any) -> dict[str, Any]:
    return {
        "headers": message.items(),
        "from": str(message.from_email),
        "to": [str(each) for each in message.to],
        "cc": [str(each) for each in message.cc],
        "date": message.date,
        "subject": message.subject,
        "text": lines(message.text),
        "html": lines(message.html),
        "attachments": [
            (each.get_filename(), each.get_content_type(), base64.b64encode(content(each)).decode())
            for each in message.attachments
        ],
        "inlines": sorted(message.content_id_map),
        "envelope": (message.envelope_sender, message.envelope_recipient),
        "stripped": (message.stripped_text, message.stripped_html),
        "spam": (message.spam_detected, message.spam_score),
    }


def lines(text: str | None) -> str | None:
    return text and text.replace("\r\n", "\n")  # django-anymail 15.1 leaves CRLF


def content(part: Any) -> bytes:
    found: bytes = part.get_content_bytes()
    return found.replace(b"\r\n", b"\n")


def main() -> None:
    warnings.simplefilter("ignore")
    django.setup()
    report = {
        "plain": {name: sent(make()) for name, make in PLAIN.items()},
        "rich": {name: sent(make()) for name, make in RICH.items()},
        "errors": {
            "refused": refused(json={"status": "error", "data": {"code": "NoContent"}}),
            "broken": refused(body="oops", status=500),
            "no JSON": refused(body="nonsense"),
        },
        "signals": seen_before_sending(),
        "webhooks": [taken(post, "tracking") for post in WEBHOOKS if post.endpoint == "all"],
        "mails": [taken(post, "inbound") for post in MAILS],
        "strangers": [taken(WEBHOOKS[0], "tracking", "guess"), taken(MAILS[0], "inbound", "guess")],
    }
    json.dump(report, sys.stdout, default=str)


main()
