"""The backend and the client against a running mail server, over HTTP: what arrives is what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from anymail.message import AnymailMessage, attach_inline_image

from anymail_postal import conf, metadata
from anymail_postal.backend import EmailBackend
from anymail_postal.client import PostalClient
from anymail_postal.errors import PostalAuthError, PostalMessageNotFound, PostalSenderError

if TYPE_CHECKING:
    from postal_server.testing import MailServer


@pytest.fixture
def live(postal: MailServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> MailServer:
    settings.ANYMAIL = {"POSTAL_API_KEY": postal.api_key, "POSTAL_API_URL": postal.url}
    monkeypatch.setattr(conf, "store", lambda: None)
    return postal


def mail(live: MailServer, **fields: Any) -> AnymailMessage:
    defaults = {
        "subject": "Grüße, 你好", "body": "Hello\n", "to": ["ann@dest.example"],
        "from_email": f'"Sender, The" <sender@{live.domain}>',
    }  # fmt: skip
    return AnymailMessage(**{**defaults, **fields})


@pytest.mark.parametrize("api", ["auto", "message", "raw"])
def test_a_mail_arrives_whichever_call_took_it(live: MailServer, api: str) -> None:
    message = mail(live, to=['"Ann, A." <ann@dest.example>'], reply_to=["r@dest.example"], tags=["news"])
    message.attach_alternative("<p>Hello", "text/html")
    message.attach("ü.pdf", b"%PDF\xff\n", "application/pdf")
    assert EmailBackend(api=api).send_messages([message]) == 1
    arrived = live.outbox.wait_for(to="ann@dest.example").message
    assert arrived["Subject"] == "Grüße, 你好"
    assert arrived["From"].addresses[0].display_name == "Sender, The"
    assert arrived["To"].addresses[0].display_name == "Ann, A."
    assert arrived["Reply-To"] == "r@dest.example"
    (attachment,) = arrived.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("ü.pdf", b"%PDF\xff\n")
    message_id = message.anymail_status.message_id
    assert arrived["Message-ID"] == f"<{message_id.rfc_message_id}>"
    with PostalClient() as client:
        known = client.message(message_id, ("details",))
    assert (known.recipient, known.id.token) == ("ann@dest.example", message_id.token)


def test_metadata_and_an_inline_image_arrive(live: MailServer) -> None:
    message = mail(live, metadata={"user": 7}, cc=["cc@dest.example"])
    image = attach_inline_image(message, b"\x89PNG", filename="dot.png", subtype="png")
    message.attach_alternative(f'<img src="cid:{image}">', "text/html")
    EmailBackend().send_messages([message])
    arrived = live.outbox.wait_for(to="cc@dest.example").message
    assert metadata.open_message_id(arrived["Message-ID"], conf.secret_keys(conf.server())) == {"user": 7}
    (part,) = [part for part in arrived.walk() if part["Content-ID"]]
    assert part["Content-ID"] == f"<{image}>"
    assert message.anymail_status.status == {"queued"}
    assert len(message.anymail_status.message_id) == 2


def test_errors_of_a_running_server(live: MailServer) -> None:
    with pytest.raises(PostalSenderError):
        EmailBackend().send_messages([mail(live, from_email="a@elsewhere.example")])
    with pytest.raises(PostalAuthError):
        EmailBackend(api_key="unknown").send_messages([mail(live)])
    with PostalClient() as client:
        client.ping()
        with pytest.raises(PostalMessageNotFound):
            client.deliveries(987654)
