"""The control interface, with which tests control the server that runs for them.

Off unless `control.token` is set, and then for loopback clients that bear the token. Requests and answers
are JSON objects; a wrong request is a 400 with `error`, naming the field.
"""

from __future__ import annotations

import base64
import functools
import ipaddress
import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from postal_server import conf
from postal_server.engine import directory
from postal_server.mail import dkim
from postal_server.mail.address import as_stored
from postal_server.models import CaughtMail, Delivery, Message, Server, Simulation
from postal_server.rules.status import ServerMode
from postal_server.services.operations import caught_mail, clock, progress, provisioning
from postal_server.services.shared import keys

MAX_BODY_BYTES = 1024 * 1024
MAX_WAIT_SECONDS = 60.0
STAGES = ("rcpt", "data", "bounce")
View = Callable[..., dict[str, Any]]


class WrongRequest(ValueError):
    """The text names the field at fault."""


def control(*methods: str) -> Callable[[View], Callable[..., HttpResponse]]:
    """Guard a view, parse the JSON body into `request.given`, and turn its dictionary into an answer."""

    def decorate(view: View) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @functools.wraps(view)
        def wrapper(request: HttpRequest, **captured: Any) -> HttpResponse:
            if not _is_allowed(request):
                return HttpResponseNotFound()
            if request.method not in methods:
                return JsonResponse({"error": f"Use {' or '.join(methods)}."}, status=405)
            try:
                answer = JsonResponse(view(request, _body(request), **captured))
            except Server.DoesNotExist:
                return JsonResponse({"error": "There is no such mail server."}, status=404)
            except WrongRequest as error:
                return JsonResponse({"error": str(error)}, status=400)
            if request.method == "POST":
                directory.refresh()  # use what was made at once
            return answer

        return wrapper

    return decorate


def _is_allowed(request: HttpRequest) -> bool:
    token = conf.config().control.token
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return (
        bool(token)
        and secrets.compare_digest(given.encode(), token.encode())
        and ipaddress.ip_address(request.META.get("REMOTE_ADDR") or "0.0.0.0").is_loopback  # noqa: S104
        and "X-Forwarded-For" not in request.headers
    )


def _body(request: HttpRequest) -> dict[str, Any]:
    raw = request.read(MAX_BODY_BYTES + 1)
    if len(raw) > MAX_BODY_BYTES:
        raise WrongRequest("The body is too large.")
    try:
        given = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise WrongRequest(f"The body is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise WrongRequest("The body is not a JSON object.")
    return given


def _text(given: dict[str, Any], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or not value:
        raise WrongRequest(f"{name}: a text is required.")
    return value


def _number(given: dict[str, Any], name: str, default: float) -> float:
    try:
        return float(given.get(name, default))
    except (TypeError, ValueError):
        raise WrongRequest(f"{name}: a number is required.") from None


@control("GET")
def ping(request: HttpRequest, given: dict[str, Any]) -> dict[str, Any]:
    """Return the public key that signs webhooks and posts."""
    return {"webhook_key": dkim.public_record(keys.installation_key(conf.config()))}


@control("POST")
def servers(request: HttpRequest, given: dict[str, Any]) -> dict[str, Any]:
    """Make a mail server with credentials and a domain: `name`, `domain`, `mode` (Live), `dkim_key` (PEM)."""
    try:
        mode = ServerMode(given.get("mode", ServerMode.LIVE.value))
    except ValueError:
        raise WrongRequest("mode: Live or Development.") from None
    name = _text(given, "name", "Test")
    new = provisioning.add_server(provisioning.organization("Tests"), name, mode)
    domain = provisioning.add_domain(
        new.server, _text(given, "domain"), timezone.now(), private_key=given.get("dkim_key")
    )
    key = keys.dkim_key(domain.dkim_private_key)
    selector = f"{conf.config().dns.dkim_identifier}-{domain.dkim_suffix}"
    return {
        "id": new.server.pk,
        "path": str(new.server),
        "token": new.server.token,
        "api_key": new.api_key,
        "smtp_key": new.smtp_key,
        "domain": domain.name,
        "dkim_name": f"{selector}._domainkey.{domain.name}",
        "dkim_record": dkim.public_record(key),
    }


@control("POST")
def webhooks(request: HttpRequest, given: dict[str, Any], server_id: int) -> dict[str, Any]:
    """Post all events to `url`; without `beyond_postal` only those that Postal has."""
    beyond_postal = given.get("beyond_postal", True)
    if not isinstance(beyond_postal, bool):
        raise WrongRequest("beyond_postal: true or false.")
    server = Server.objects.get(pk=server_id)
    return {"id": provisioning.add_webhook(server, _text(given, "url"), beyond_postal=beyond_postal).pk}


@control("POST")
def routes(request: HttpRequest, given: dict[str, Any], server_id: int) -> dict[str, Any]:
    """Post mail for `name` at the server's domain to `url`, in `format` (RawMessage)."""
    server = Server.objects.get(pk=server_id)
    domain = server.domains.order_by("pk")[0]
    kind = _text(given, "format", "RawMessage")
    if kind not in ("RawMessage", "Hash"):
        raise WrongRequest("format: RawMessage or Hash.")
    route = provisioning.add_http_route(
        server, domain, _text(given, "name"), _text(given, "url"), format=kind
    )
    return {"id": route.pk, "address": str(route)}


@control("GET", "DELETE")
def mail(request: HttpRequest, given: dict[str, Any], server_id: int) -> dict[str, Any]:
    """Caught mail, as soon as there is some: `to`, `subject`, `after` (an id), `timeout` in seconds."""
    query = {key: str(value) for key, value in request.GET.items() if value}
    if request.method == "DELETE":
        return {"deleted": caught_mail.find(server_id).delete()[0]}
    found = caught_mail.wait_for(
        server_id,
        to=query.get("to"),
        subject=query.get("subject"),
        after=int(_number(query, "after", 0)),
        timeout=min(max(_number(query, "timeout", 0), 0.0), MAX_WAIT_SECONDS),
    )
    return {"mail": [_shown(row) for row in found]}


def _shown(row: CaughtMail) -> dict[str, Any]:
    return {
        "id": row.pk,
        "mail_from": row.mail_from,
        "rcpt_to": row.rcpt_to,
        "subject": row.subject,
        "tls": row.tls,
        "at": row.created_at.timestamp(),
        "raw": base64.b64encode(bytes(row.raw)).decode("ascii"),
    }


@control("POST")
def simulations(request: HttpRequest, given: dict[str, Any], server_id: int) -> dict[str, Any]:
    """Have `recipient` (or `*@domain`) answered with `reply` at `stage`, `times` times (null: always)."""
    stage = _text(given, "stage", "rcpt")
    if stage not in STAGES:
        raise WrongRequest(f"stage: one of {', '.join(STAGES)}.")
    reply = _text(given, "reply")
    if reply[:1] not in "2345" or not reply[:3].isdigit() or "\r" in reply or "\n" in reply:
        raise WrongRequest("reply: an SMTP reply such as `550 5.1.1 No such user`.")
    times = given.get("times")
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise WrongRequest("times: a whole number above 0, or null.")
    row, _ = Simulation.objects.update_or_create(
        server_id=Server.objects.get(pk=server_id).pk,
        recipient=as_stored(_text(given, "recipient")).lower(),
        defaults={
            "stage": stage,
            "reply": reply,
            "times": times,
            "delay_seconds": min(max(_number(given, "delay", 0), 0.0), MAX_WAIT_SECONDS),
        },
    )
    return {"id": row.pk}


@control("GET")
def messages(request: HttpRequest, given: dict[str, Any], server_id: int) -> dict[str, Any]:
    """The server's last 100 messages, each with its last delivery, to explain a failed test."""
    rows = list(Message.objects.filter(server_id=server_id).order_by("-id")[:100])
    details = dict(
        Delivery.objects.filter(message_id__in=[row.pk for row in rows])
        .order_by("pk")
        .values_list("message_id", "details")
    )
    return {
        "messages": [
            {
                "id": row.pk,
                "scope": row.scope,
                "rcpt_to": row.rcpt_to,
                "subject": row.subject,
                "status": row.status,
                "details": details.get(row.pk),
            }
            for row in rows
        ]
    }


@control("GET")
def quiet(request: HttpRequest, given: dict[str, Any], server_id: int) -> dict[str, Any]:
    """Wait up to `timeout` seconds until every mail, event and post is answered. Returns what is not."""
    timeout = min(max(_number(dict(request.GET.items()), "timeout", 0), 0.0), MAX_WAIT_SECONDS)
    return {"under_way": progress.wait_until_quiet(server_id, timeout)}


@control("GET")
def answers(request: HttpRequest, given: dict[str, Any], server_id: int) -> dict[str, Any]:
    """What the application refused after `message` and `attempt`, ids as an earlier answer has them."""
    query = dict(request.GET.items())
    since = progress.Mark(int(_number(query, "message", 0)), int(_number(query, "attempt", 0)))
    now = progress.mark(server_id)
    return {
        "message": now.message_id,
        "attempt": now.attempt_id,
        "refused": list(progress.refused(server_id, since)),
    }


@control("POST")
def advance(request: HttpRequest, given: dict[str, Any], server_id: int) -> dict[str, Any]:
    """Let `seconds` pass for the server's waiting attempts and its suppression list."""
    return {"waiting": clock.advance(server_id, timedelta(seconds=_number(given, "seconds", 0)))}
