"""The login form: after too many failures a client has to wait, and every failure is logged."""

from __future__ import annotations

import functools
import logging
import math
import time
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from postal_server import conf
from postal_server.engine import metrics
from postal_server.services.shared.throttle import MAX_ACCOUNT_LENGTH, Limits, Throttle

from .application import CLIENT

logger = logging.getLogger(__name__)

TOO_MANY = "Too many failed logins. Try again later."


@functools.lru_cache(maxsize=1)
def throttle() -> Throttle:
    """The throttle of this process."""
    return Throttle(Limits.of(conf.config()))


class LoginForm(AdminAuthenticationForm):
    """`wait`: seconds until a password is checked again, 0 if this one was."""

    wait = 0.0

    def clean(self) -> dict[str, Any]:
        account, client = self.cleaned_data.get("username"), client_address(self.request)
        if not account or not self.cleaned_data.get("password"):
            return self.cleaned_data  # nothing to check
        self.wait = throttle().wait(account, client, time.monotonic())
        if self.wait:
            metrics.LOGINS.labels("throttled").inc()
            raise ValidationError(TOO_MANY, code="throttled")
        try:
            return super().clean()
        finally:
            self._count(account, client)

    def _count(self, account: str, client: str) -> None:
        """Count whether the password was right, even if the account may not log in."""
        if self.user_cache is not None:
            throttle().succeeded(account, client)
            metrics.LOGINS.labels("right").inc()
            return
        throttle().failed(account, client, time.monotonic())
        metrics.LOGINS.labels("wrong").inc()
        logger.warning("Login of %r failed (%s)", account[:MAX_ACCOUNT_LENGTH], client)


def add_retry_after(response: HttpResponse) -> HttpResponse:
    """Make the response of a login that has to wait a 429 (RFC 6585 section 4)."""
    context = response.context_data if isinstance(response, TemplateResponse) else None
    form = (context or {}).get("form")
    if isinstance(form, LoginForm) and form.wait:
        response.status_code = 429
        response.headers["Retry-After"] = str(math.ceil(form.wait))
    return response


def client_address(request: HttpRequest | None) -> str:
    """The client's address, behind proxies that are trusted."""
    meta = request.META if request is not None else {}
    return str(meta.get(CLIENT, meta.get("REMOTE_ADDR", "")))
