"""Make the API calls that are due."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import requests
from django.db import router, transaction
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

from anymail_postal.client import PostalClient
from anymail_postal.errors import PostalAPIError
from anymail_postal.ports import SentMessage
from anymail_postal.wire import SendResult

from .models import ScheduledMail
from .store import Store


def send(mail: ScheduledMail, client: PostalClient) -> bool:
    """Make one call, unless another process does; whether it was made.

    Raises `PostalAPIError`. The mail then waits for the next run if Postal cannot have accepted it. Otherwise
    it has failed: an error of Postal is permanent, and without a response the mail may have been sent.
    """
    mine = ScheduledMail.objects.filter(pk=mail.pk)
    if not mine.filter(state=ScheduledMail.State.WAITING).update(state=ScheduledMail.State.SENDING):
        return False
    try:
        result = _call(mail, client)
    except PostalAPIError as error:
        states = ScheduledMail.State
        mine.update(state=states.WAITING if was_not_accepted(error) else states.FAILED, error=str(error))
        raise
    with transaction.atomic(using=router.db_for_write(ScheduledMail)):
        Store().record_sent(mail.server, _sent(mail, result))
        mine.delete()
    return True


def was_not_accepted(error: PostalAPIError) -> bool:
    """Whether Postal has certainly not accepted the mail, and may accept it later."""
    if error.response is not None:
        return error.response.status_code in (429, 503)
    cause = error.__cause__
    if isinstance(cause, requests.ConnectTimeout):
        return True
    reason: HTTPError | Exception | None = cause.args[0] if cause is not None and cause.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    return isinstance(reason, (ConnectTimeoutError, NewConnectionError))


def _call(mail: ScheduledMail, client: PostalClient) -> SendResult:
    params = mail.params
    if mail.endpoint == "send/message":
        return client.send(params)
    data = base64.b64decode(params["data"])
    return client.send_raw(params["mail_from"], params["rcpt_to"], data, bounce=params.get("bounce", False))


def _sent(mail: ScheduledMail, result: SendResult) -> Iterator[SentMessage]:
    for recipient, message_id in result.messages.items():
        yield SentMessage(
            postal_id=int(message_id),
            token=message_id.token,
            recipient=recipient,
            rfc_message_id=message_id.rfc_message_id,
            subject=mail.subject,
            tag=mail.tag,
            metadata=mail.metadata,
        )
