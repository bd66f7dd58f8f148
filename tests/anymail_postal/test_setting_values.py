"""Which values the settings may have, and what becomes of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from anymail.exceptions import AnymailConfigurationError

from anymail_postal import conf
from tests.each import each


def no_handler() -> None:
    pass


GOOD = [
    ("api_key", "abc", "abc"),
    ("api_url", "https://p.test/", "https://p.test"),
    ("api_url", "http://127.0.0.1:5000//", "http://127.0.0.1:5000"),
    ("api", "raw", "raw"),
    ("retries", 0, 0),
    ("message_id_domain", "News.Example.TEST", "news.example.test"),
    ("secret_key", "s" * 32, ("s" * 32,)),
    ("secret_key", ["s" * 32, "t" * 40], ("s" * 32, "t" * 40)),
    ("tag_separator", "|", "|"),
    ("webhook_key", {"kty": "RSA"}, {"kty": "RSA"}),
    ("webhook_key", ["MIGf", {"kty": "RSA"}], ["MIGf", {"kty": "RSA"}]),
    ("webhook_jwks_url", True, True),
    ("webhook_jwks_url", "https://p.test/keys", "https://p.test/keys"),
    ("webhook_jwks_url", "http://localhost:5000/keys", "http://localhost:5000/keys"),
    ("webhook_jwks_url", "http://[::1]/keys", "http://[::1]/keys"),
    ("webhook_secret", "user:pass", ("user:pass",)),
    ("webhook_secret", ["a:b", "c:d"], ("a:b", "c:d")),
    ("webhook_max_age", 7200, timedelta(hours=2)),
    ("webhook_max_age", timedelta(minutes=50), timedelta(minutes=50)),
    ("webhook_dispatch", "task", "task"),
    ("webhook_dispatch", f"{__name__}.no_handler", f"{__name__}.no_handler"),
    ("inbound_refusal_status", 503, 503),
    ("reply_local_part", "re-ply.1", "re-ply.1"),
    ("reply_languages", ["en", "de"], ("en", "de")),
    ("click_tracking", None, None),
]

BAD = [
    ("api_key", "", "E001"),
    ("api_key", 5, "E001"),
    ("api_key", "line\nbreak", "E001"),
    ("api_key", "ключ", "E001"),
    ("api_key", " padded ", "E001"),
    ("api_url", "postal.example.test", "E002"),
    ("api_url", "ftp://p.test", "E002"),
    ("api_url", "https://", "E002"),
    ("api_url", "https://[", "E002"),
    ("api_url", "https://p.test:99999", "E002"),
    ("api_url", "https://p.test/api/v1/", "E002"),
    ("api", "smtp", "E003"),
    ("retries", 11, "E012"),
    ("retries", -1, "E012"),
    ("retries", True, "E012"),
    ("retries", "2", "E012"),
    ("strict_envelope_sender", 1, "E012"),
    ("message_id_domain", "exämple.test", "E012"),
    ("message_id_domain", "-a.test", "E012"),
    ("message_id_domain", "a..test", "E012"),
    ("message_id_domain", "a" * 64 + ".test", "E012"),
    ("message_id_domain", ".".join(["a" * 60] * 5), "E012"),
    ("metadata", "header", "E012"),
    ("secret_key", "short", "E014"),
    ("secret_key", ["s" * 32, "short"], "E014"),
    ("secret_key", [], "E014"),
    ("secret_key", b"s" * 32, "E014"),
    ("tag_separator", "", "E012"),
    ("tag_separator", "||||", "E012"),
    ("tag_separator", "\n", "E012"),
    ("click_tracking", True, "E012"),
    ("send_at", "now", "E012"),
    ("suppression", None, "E012"),
    ("webhook_key", [], "E006"),
    ("webhook_key", 5, "E006"),
    ("webhook_key", [""], "E006"),
    ("webhook_jwks_url", False, "E008"),
    ("webhook_jwks_url", "http://p.test/keys", "E008"),
    ("webhook_jwks_url", "https://[/", "E008"),
    ("webhook_jwks_url", "http://evil.test\\@localhost/", "E008"),
    ("webhook_jwks_url", "http://localhost@evil.test/", "E008"),
    ("webhook_jwks_url", "http://evil.test#@localhost/", "E008"),
    ("webhook_jwks_url", "https://evil.test\\@p.test/keys", "E008"),
    ("webhook_jwks_url", "http://local\thost/keys", "E008"),
    ("webhook_jwks_url", "https://p.test/ke ys", "E008"),
    ("api_url", "https://evil.test\\@p.test", "E002"),
    ("api_url", "https://p.te\nst", "E002"),
    ("webhook_secret", [5], "E012"),
    ("webhook_secret", {}, "E012"),
    ("webhook_max_age", -1, "E009"),
    ("webhook_max_age", float("nan"), "E009"),
    ("webhook_max_age", 1e300, "E009"),
    ("webhook_max_age", "1h", "E009"),
    ("webhook_max_age", True, "E009"),
    ("webhook_dedupe", "database", "E009"),
    ("webhook_dedupe_ttl", None, "E009"),
    ("webhook_dispatch", "celery", "E009"),
    ("webhook_dispatch", "no.such.module", "E009"),
    ("webhook_dispatch", f"{__name__}.BACKEND", "E009"),
    ("webhook_dispatch", 5, "E009"),
    ("inbound_max_bytes", 0, "E012"),
    ("inbound_refusal_status", 404, "E012"),
    ("reply_domain", "a b", "E013"),
    ("reply_local_part", "Reply", "E013"),
    ("reply_local_part", "r" * 17, "E013"),
    ("reply_sender_check", "maybe", "E013"),
    ("reply_languages", [], "E013"),
    ("reply_languages", ["english"], "E013"),
]


@each("attribute, value, expected", GOOD)
def test_good_values_are_read(attribute: str, value: Any, expected: Any) -> None:
    assert getattr(conf.server(**{attribute: value}), attribute) == expected


@each("attribute, value, check", BAD)
def test_bad_values_raise_at_use_and_are_reported(
    settings: Any, attribute: str, value: Any, check: str
) -> None:
    settings.ANYMAIL = {f"POSTAL_{attribute.upper()}": value}
    with pytest.raises(AnymailConfigurationError, match=f"POSTAL_{attribute.upper()} must"):
        getattr(conf.server(), attribute)
    (problem,) = conf.problems()
    assert (problem.check, problem.setting) == (check, f"POSTAL_{attribute.upper()}")
    assert "must" in problem.message
    assert problem.hint
