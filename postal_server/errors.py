"""Exceptions, most of them refusals: requests that we reject, each with Postal's code.

A refusal carries Postal's `code` and a sentence for the peer; `api/` and `smtpd/replies.py` each turn it
into a response or a reply in one place. Details for the log alone are in the exception's cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class PostalServerError(Exception):
    """Root of this package's exceptions."""


class ConfigurationError(PostalServerError):
    """The configuration cannot be used; the text names the key or file at fault."""


class NotNow(ConfigurationError):
    """What the configuration names is not to be had, which may change without it.

    An address that is not there yet, a port that another program still has, a name that DNS does not find.
    """


class BackupError(PostalServerError):
    """A back-up cannot be made, read or restored; the text says why, and what to do."""


class HostileInput(PostalServerError, ValueError):
    """Input from outside that our parsers do not accept."""


class InvalidMediaType(HostileInput):
    """A Content-Type that names no type (HTTP 406)."""


class Busy(PostalServerError):
    """The disk or the queue cannot keep up: try again later (SMTP 452 4.3.1, HTTP 503).

    `retry_after` is in seconds.
    """

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refusal(PostalServerError):
    """A request that we reject. `code` is Postal's, `extra` the further members of its response."""

    code: ClassVar[str] = ""
    message: ClassVar[str | None] = None

    def __init__(self, message: str | None = None, **extra: Any) -> None:
        self.text = self.message if message is None else message
        self.extra: Mapping[str, Any] = extra
        super().__init__(self.text or self.code)


class AccessDenied(Refusal):
    """A request without an API key."""

    code = "AccessDenied"
    message = "Must be authenticated as a server."


class InvalidServerAPIKey(Refusal):
    """A request whose API key belongs to no server."""

    code = "InvalidServerAPIKey"
    message = "The API token provided in X-Server-API-Key was not valid."


class ServerSuspended(Refusal):
    """The mail server, or its organization, is suspended."""

    code = "ServerSuspended"


class NoRecipients(Refusal):
    """A submission without a recipient."""

    code = "NoRecipients"
    message = "There are no recipients defined to receive this message"


class TooManyToAddresses(Refusal):
    """A submission with over 50 addresses in `to`."""

    code = "TooManyToAddresses"
    message = "The maximum number of To addresses has been reached (maximum 50)"


class TooManyCCAddresses(Refusal):
    """A submission with over 50 addresses in `cc`."""

    code = "TooManyCCAddresses"
    message = "The maximum number of CC addresses has been reached (maximum 50)"


class TooManyBCCAddresses(Refusal):
    """A submission with over 50 addresses in `bcc`."""

    code = "TooManyBCCAddresses"
    message = "The maximum number of BCC addresses has been reached (maximum 50)"


class NoContent(Refusal):
    """A submission with neither a plain body nor an HTML one."""

    code = "NoContent"
    message = "There is no content defined for this e-mail"


class FromAddressMissing(Refusal):
    """A submission without `from`."""

    code = "FromAddressMissing"
    message = "The From address is missing and is required"


class UnauthenticatedFromAddress(Refusal):
    """An author at a domain that the server has not verified (contract 1.13)."""

    code = "UnauthenticatedFromAddress"
    message = "The From address is not authorised to send mail from this server"


class AttachmentMissingName(Refusal):
    """An attachment without `name`."""

    code = "AttachmentMissingName"
    message = "An attachment is missing a name"


class AttachmentMissingData(Refusal):
    """An attachment without `data`."""

    code = "AttachmentMissingData"
    message = "An attachment is missing data"


class MessageNotFound(Refusal):
    """No message of the server has this id."""

    code = "MessageNotFound"
    message = "No message found matching provided ID"


class ParameterError(Refusal):
    """A parameter is missing or of the wrong type. Postal gives these no code (`parameter-error`)."""

    code = "parameter-error"


class InvalidRecipient(Refusal):
    """A recipient that cannot be used in an SMTP command. Postal's API accepts it and fails later."""

    code = "InvalidRecipient"


class InvalidServerToken(Refusal):
    """A return path that belongs to no server. SMTP only, as are those below."""

    code = "InvalidServerToken"
    message = "Invalid server token"


class InvalidRouteToken(Refusal):
    """An address in the route domain that no route has."""

    code = "InvalidRouteToken"
    message = "Invalid route token"


class RouteRejects(Refusal):
    """A route that refuses its mail."""

    code = "RouteRejects"
    message = "Route does not accept incoming messages"


class AuthenticationRequired(Refusal):
    """A recipient at a domain that is not ours, from a client that is not authenticated."""

    code = "AuthenticationRequired"
    message = "Authentication required"


class LoopDetected(Refusal):
    """A message that has passed this server too often."""

    code = "LoopDetected"
    message = "Loop detected"


class MessageTooLarge(Refusal):
    """A message over the size limit of the API or of SMTP."""

    code = "MessageTooLarge"
    message = "Message too large"


class HeaderTooLarge(Refusal):
    """A header of more bytes or fields than `smtp_server.max_header_size` and `max_header_fields` allow."""

    code = "HeaderTooLarge"
    message = "The message header is too large"


class MalformedHeader(Refusal):
    """A header that readers split into different fields, so that its author is ambiguous."""

    code = "MalformedHeader"
    message = "The message's header has a carriage return that is no line end (RFC 5322 section 2.2)"


# What people, their programs and their commands are told


class NotAllowed(PostalServerError):
    """They may not do this here; the text says what is needed."""


class NotFound(PostalServerError):
    """There is nothing of this kind, or none that they may know of; the text names what was asked for."""


class InvalidValues(PostalServerError):
    """Values that cannot be taken: sentences by the name of the value, by "" for several of them together."""

    def __init__(self, problems: Mapping[str, Sequence[str]]) -> None:
        self.problems = problems
        super().__init__(" ".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """A line for each sentence, with the name of its value."""
        return [
            f"{name}: {text}" if name else text for name, texts in self.problems.items() for text in texts
        ]


class ChangedMeanwhile(PostalServerError):
    """Somebody else has changed it since the values were read that this change starts from."""
