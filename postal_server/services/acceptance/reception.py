"""Accept or refuse what comes in over SMTP: a return path, a route, or mail of somebody who may send.

`accept_recipient` decides about one recipient; `accept_message` makes what the journal appends for those
that were accepted.
Nothing here touches the database. Source: contract 5.4, 5.5 and 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from postal_server.conf import Config
from postal_server.errors import (
    AuthenticationRequired,
    InvalidRouteToken,
    InvalidServerToken,
    LoopDetected,
    RouteRejects,
    ServerSuspended,
)
from postal_server.mail.address import domain_key, split_address, unquoted
from postal_server.mail.charset import decode_undeclared
from postal_server.mail.header import (
    bare_message_id,
    decode_header,
    find_body,
    header_fields,
    header_values,
)
from postal_server.mail.message import decode_field
from postal_server.rules import route as rules
from postal_server.rules.lane import LOCAL, lane_of_endpoint
from postal_server.rules.status import RouteMode, Scope
from postal_server.services.shared.directory import Directory
from postal_server.services.shared.entries import CredentialEntry, RouteEntry, ServerEntry
from postal_server.services.shared.token import ReturnPath, read_return_path
from postal_server.services.shared.work import Accepted, NewMessage

OUTGOING, INCOMING, BOUNCE = "outgoing", "incoming", "bounce"
MAX_HOPS = 4  # Received headers that name this host
MAX_DECODED_SUBJECT = 16_384  # characters; decoding a longer one would take long, so it is kept as it came


@dataclass(frozen=True)
class AcceptedRecipient:
    """A recipient that was accepted. `kind` is OUTGOING, INCOMING or BOUNCE.

    `rcpt_to` is what is stored. Outgoing mail has a `credential`; incoming mail has a `route`, except
    reports and role addresses without one.
    """

    kind: str
    rcpt_to: str
    server: ServerEntry
    route: RouteEntry | None = None
    domain_id: int | None = None
    credential: CredentialEntry | None = None


def accept_recipient(
    address: str, credential: CredentialEntry | None, client: str, directory: Directory, config: Config
) -> AcceptedRecipient:
    """Who gets mail for `address`, which has a domain or is the postmaster's. Raises a `Refusal`.

    `credential` is who is authenticated on the connection; if there is none, `client`, the peer's IP address,
    may stand for one, and then the answer has it.
    """
    if rules.is_postmaster(address):
        return _postmaster_recipient(address, directory, config)
    path = read_return_path(address, directory, config)
    if path is not None:
        return _return_path_recipient(path, address, directory)
    local, domain = split_address(address)
    if domain_key(domain) == domain_key(config.dns.route_domain):
        return _route_domain_recipient(local, directory)
    if credential is None and (recipient := _local_recipient(local, domain, address, directory)):
        return recipient
    credential = credential or directory.ip_credential(client)
    if credential is None:
        raise AuthenticationRequired
    server = _require_active(directory.servers[credential.server_id])
    return AcceptedRecipient(OUTGOING, address, server, credential=credential)


def accept_message(
    recipients: Sequence[AcceptedRecipient], raw: bytes, mail_from: str | None, *, received_with_ssl: bool
) -> list[Accepted]:
    """The submissions for one mail to these incoming recipients and return paths, one for each server.

    `raw` begins with our Received line. A route with several endpoints gets a message for each.
    """
    fields = [(name.lower(), value) for name, value in header_fields(raw)]
    subjects = [value for name, value in fields if name == "subject"]
    identifiers = [value for name, value in fields if name == "message-id"]
    by_server: dict[int, list[NewMessage]] = {}
    for recipient in recipients:
        by_server.setdefault(recipient.server.id, []).extend(_messages(recipient))
    text = _subject(subjects, raw)
    identifier = bare_message_id(decode_undeclared(identifiers[-1])) if identifiers else None
    return [
        Accepted(
            raw=raw,
            messages=tuple(messages),
            mail_from=mail_from,
            subject=text,
            message_id=identifier,
            received_with_ssl=received_with_ssl or None,
        )
        for messages in by_server.values()
    ]


def check_loop(raw: bytes, smtp_hostname: str) -> None:
    """Raise `LoopDetected` if a message has passed through this host too often, our new Received included."""
    host = smtp_hostname.lower()
    if raw[: find_body(raw, 0, len(raw))[0]].lower().count(host.encode()) <= MAX_HOPS:
        return  # named less often than that in the whole header, whose fields need not be read then
    mark = f"by {host}"
    if sum(mark in value.lower() for value in header_values(raw, "Received")) > MAX_HOPS:
        raise LoopDetected


def _subject(values: Sequence[bytes], raw: bytes) -> str | None:
    """The last of these Subjects, decoded, or None. One of over `MAX_DECODED_SUBJECT` stays as it is."""
    if not values:
        return None
    text = decode_field(values[-1], raw)
    return text if len(text) > MAX_DECODED_SUBJECT else decode_header(text)


def _return_path_recipient(path: ReturnPath, address: str, directory: Directory) -> AcceptedRecipient:
    """Mail to a return path; to that of a suspended server too, as it is about mail of the past."""
    if path.server is None:
        raise InvalidServerToken
    return AcceptedRecipient(BOUNCE, address, path.server, directory.return_path_route(path.server.id))


def _route_domain_recipient(local: str, directory: Directory) -> AcceptedRecipient:
    route_and_tag = directory.route_by_token(local)
    if route_and_tag is None or route_and_tag[0].name == rules.RETURN_PATH:  # which has no address (Q25)
        raise InvalidRouteToken
    route, tag = route_and_tag
    return _route_recipient(route, rules.own_address(route.name, route.domain_name, tag), directory)


def _local_recipient(local: str, domain: str, address: str, directory: Directory) -> AcceptedRecipient | None:
    """The recipient of a route, or of a role that every domain must have (RFC 5321 section 4.5.1)."""
    route = directory.route_for(address)
    if route is not None:
        return _route_recipient(route, address, directory)
    owned = directory.mail_domain(domain) if rules.is_role(unquoted(local)) else None
    server = directory.server_of_domain(owned) if owned else None
    if owned is None or server is None:
        return None
    return AcceptedRecipient(INCOMING, address, _require_active(server), domain_id=owned.id)


def _postmaster_recipient(local: str, directory: Directory, config: Config) -> AcceptedRecipient:
    """The postmaster of this host, in its domain if a server has that, else of the oldest server."""
    host = config.postal.smtp_hostname
    address = f"{local}@{host}"
    if recipient := _local_recipient(local, host, address, directory):
        return recipient
    active = (server for server in directory.servers.values() if not server.is_suspended)
    server = min(active, key=lambda server: server.id, default=None)
    if server is None:
        raise AuthenticationRequired
    return AcceptedRecipient(INCOMING, address, server)


def _route_recipient(route: RouteEntry, rcpt_to: str, directory: Directory) -> AcceptedRecipient:
    server = _require_active(directory.servers[route.server_id])
    if route.mode is RouteMode.REJECT:
        raise RouteRejects
    return AcceptedRecipient(INCOMING, rcpt_to, server, route, route.domain_id)


def _require_active(server: ServerEntry) -> ServerEntry:
    if server.is_suspended:
        raise ServerSuspended
    return server


def _messages(recipient: AcceptedRecipient) -> Iterable[NewMessage]:
    route = recipient.route
    new = NewMessage(
        server_id=recipient.server.id,
        scope=Scope.INCOMING,
        rcpt_to=recipient.rcpt_to,
        destination=LOCAL,
        domain_id=recipient.domain_id,
        route_id=route.id if route else None,
        is_bounce=recipient.kind == BOUNCE,
    )
    if route is None or not route.endpoints:
        return [new]
    return [
        replace(new, destination=lane_of_endpoint(type, number), endpoint_type=type, endpoint_id=number)
        for type, number in route.endpoints
    ]
