"""The Django e-mail backend: a Django mail becomes one call of Postal's API, or one for each To recipient.

The backend makes the calls. What they contain is decided by a payload: `MessagePayload` for
`POSTAL_API = "message"`, `AutoPayload` for "auto" and "raw".
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

import anymail
import requests
from anymail.backends.base_requests import AnymailRequestsBackend
from anymail.exceptions import AnymailError, AnymailUnsupportedFeature
from anymail.message import AnymailRecipientStatus, AnymailStatus
from anymail.utils import UNSET, CaseInsensitiveCasePreservingDict, merge_dicts_deep
from django.core.mail import EmailMessage

from . import __version__, conf
from .api import create_session, post, read_answer
from .auto_payload import AutoPayload
from .errors import redact
from .message_payload import MessagePayload
from .payload import OWN_EXTRA_KEYS, ApiCall, PostalPayload

logger = logging.getLogger(__name__)


class PostalStatus(AnymailStatus):
    """Anymail's status with case-insensitive recipients.

    `postal_responses` are the responses to all calls, in the order of the calls.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recipients = CaseInsensitiveCasePreservingDict()  # type: ignore[assignment]
        self.postal_responses: list[requests.Response] = []

    def set_recipient_status(self, recipients: Mapping[str, AnymailRecipientStatus]) -> None:
        """Set the recipients. `message_id` has the ids of accepted messages only."""
        super().set_recipient_status(recipients)  # type: ignore[no-untyped-call]
        ids = {status.message_id for status in recipients.values()} - {None}
        self.message_id = ids if len(ids) > 1 else next(iter(ids), None)


class EmailBackend(AnymailRequestsBackend):
    """Sends mail through a Postal server.

    Options are the settings of `anymail_postal.conf` in lower case without prefix, Anymail's own, and
    `server`, the name of the server to send through: by default the alias in MAILERS, or "default".
    """

    esp_name = "Postal"
    session: requests.Session

    def __init__(self, **kwargs: Any) -> None:
        alias = kwargs.get("alias")
        options = {name: kwargs.pop(name) for name in conf.SERVER_ATTRIBUTES & kwargs.keys()}
        server = kwargs.pop("server", None)
        if alias and not server:
            self.config = conf.mailer(alias, options)
        else:
            self.config = conf.server(server or conf.DEFAULT_SERVER, **options)
        self.config.required("api_key", alias)
        super().__init__(f"{self.config.required('api_url', alias)}/", **kwargs)  # type: ignore[no-untyped-call]

    def create_session(self) -> requests.Session:
        """A session that repeats calls that Postal cannot have accepted."""
        ours, base = f"anymail-postal/{__version__}", f"django-anymail/{anymail.__version__}"
        user_agent = f"{ours} {base} {requests.utils.default_user_agent()}"
        session = create_session(user_agent, self.config.retries)
        if self.debug_api_requests:
            session.hooks["response"].append(self._dump_api_request)
        return session

    def build_message_payload(self, message: EmailMessage, defaults: dict[str, Any]) -> PostalPayload:
        """The payload for the API that the server's settings or the mail's `esp_extra` choose.

        With `POSTAL_API = "message"`, all of `esp_extra` is for Postal. Raises `AnymailUnsupportedFeature`
        for an unknown API, `UnknownServer` for an unknown server.
        """
        message.anymail_status = PostalStatus()  # type: ignore[attr-defined]
        if self.config.api == "message":
            return MessagePayload(message, defaults, self, self.config)
        extra = merge_dicts_deep(defaults.get("esp_extra", UNSET), getattr(message, "esp_extra", UNSET))
        extra = {} if extra is UNSET else extra
        config = conf.server(extra["server"]) if "server" in extra else self.config
        api = extra.get("api", config.api)
        if api == "message":
            return MessagePayload(message, defaults, self, config, own_keys=OWN_EXTRA_KEYS)
        if api not in ("auto", "raw"):
            raise AnymailUnsupportedFeature(
                f"Postal has no API {api!r}: esp_extra['api'] is 'auto', 'message' or 'raw'.",
                email_message=message,
                backend=self,
            )
        return AutoPayload(message, defaults, self, config, always_raw=api == "raw")

    def post_to_esp(self, payload: PostalPayload, message: EmailMessage) -> requests.Response | None:
        """Make the calls and return the last response, None if no call is due now."""
        if payload.is_scheduled:
            payload.schedule()
            return None
        if payload.is_personal:
            return self.post_batch(payload, message)
        build = next(payload.call_builders(), None)
        return None if build is None else self.post_call(build(), payload, message)

    def post_batch(self, payload: PostalPayload, message: EmailMessage) -> requests.Response | None:
        """Make a call for each To recipient, and return the last response.

        A call that fails gives its recipient the status "failed"; the last error is raised only if all fail.
        """
        response: requests.Response | None = None
        failure: AnymailError | None = None
        for build in payload.call_builders():
            try:
                response = self.post_call(build(), payload, message)
                payload.record_answer(response)
            except AnymailError as error:
                logger.warning("A mail of a batch was not sent: %s", error)
                failure = error
        payload.fail_unanswered()
        if failure is not None and all(status.status != "queued" for status in payload.statuses.values()):
            raise failure
        return response

    def post_call(self, call: ApiCall, payload: PostalPayload, message: EmailMessage) -> requests.Response:
        """Make one call. Raises `PostalAPIError` for an HTTP status outside 200-299 or no answer."""
        payload.call = call
        params = payload.get_request_params(payload.api_url)
        context = {"email_message": message, "payload": payload, "backend": self}
        response = post(self.session, self.timeout, params, **context)
        message.anymail_status.postal_responses.append(response)  # type: ignore[attr-defined]
        self.raise_for_status(response, payload, message)
        return response

    def raise_for_status(
        self, response: requests.Response, payload: PostalPayload, message: EmailMessage
    ) -> None:
        """Raises `PostalAPIError` for an HTTP status outside 200-299."""
        if not 200 <= response.status_code < 300:
            read_answer(response, email_message=message, payload=payload, backend=self)

    def parse_recipient_status(
        self, response: requests.Response | None, payload: PostalPayload, message: EmailMessage
    ) -> Mapping[str, AnymailRecipientStatus]:
        """The status of every recipient: "unknown" for those that Postal's answer leaves out."""
        if response is not None and not payload.is_personal:
            payload.record_answer(response)
        return payload.statuses

    @staticmethod
    def _dump_api_request(response: requests.Response, **kwargs: Any) -> None:
        """Print request and response for debugging, without the API key."""
        printed = io.StringIO()
        with redirect_stdout(printed):
            AnymailRequestsBackend._dump_api_request(response, **kwargs)
        key = response.request.headers.get("X-Server-API-Key", "")
        print(redact(printed.getvalue(), key), end="")
