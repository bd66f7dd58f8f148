"""AUTH: which attempts count against a client, and how an exchange is given up."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from base64 import b64decode, b64encode

import pytest

from postal_server.services.shared.throttle import Limits
from tests.each import each
from tests.loops import run

from .talk import KEYS, Running

KEY = next(key for key, path in KEYS.items() if path == "example/live")
MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5"]


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


async def log_in(talk, mechanism: str, user: str, key: str) -> str:
    if mechanism == "PLAIN":
        return await talk.say("AUTH PLAIN " + coded(f"\0{user}\0{key}"))
    challenge = await talk.say(f"AUTH {mechanism}")
    if mechanism == "LOGIN":
        await talk.say(coded(user))
        return await talk.say(coded(key))
    digest = hmac.new(key.encode(), b64decode(challenge[4:]), hashlib.md5).hexdigest()
    return await talk.say(coded(f"{user} {digest}"))


def attempts(*tries: tuple[str, str, str], limit: int = 2) -> list[str]:
    """The codes of these log-ins, `(mechanism, user, key)`, on one connection."""

    async def work() -> list[str]:
        async with Running(login_limits=Limits(of_client=limit)) as server:
            talk = await server.talk("EHLO c")
            return [(await log_in(talk, *each))[:3] for each in tries]

    return run(asyncio.wait_for(work(), 20))


def test_cram_md5_takes_a_digest_in_capitals():
    async def work() -> None:
        async with Running() as server:
            talk = await server.talk("EHLO c")
            challenge = b64decode((await talk.say("AUTH CRAM-MD5"))[4:])
            digest = hmac.new(KEY.encode(), challenge, hashlib.md5).hexdigest().upper()
            assert (await talk.say(coded(f"example/live {digest}"))).startswith("235 ")

    run(asyncio.wait_for(work(), 20))


@each("user", ["", "anybody", "example/none", "üser", "a b", "root@example.test"])
def test_cram_md5_under_a_name_of_no_mail_server_is_refused_and_not_counted(user, caplog):
    caplog.set_level(logging.INFO)
    codes = attempts(*[("CRAM-MD5", user, KEY)] * 10, ("PLAIN", user, KEY))
    assert codes == ["535"] * 10 + ["235"]
    assert "AUTH failed" not in caplog.text


def test_cram_md5_with_a_response_that_is_none_is_not_counted():
    async def work() -> None:
        async with Running(login_limits=Limits(of_client=1)) as server:
            talk = await server.talk("EHLO c")
            for line in ("=", coded("no blank"), ""):
                await talk.say("AUTH CRAM-MD5")
                assert (await talk.say(line)).startswith("535 ")
            assert (await log_in(talk, "CRAM-MD5", "example_live", KEY)).startswith("235 ")

    run(work())


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_wrong_key_counts_although_the_right_one_follows(mechanism, caplog):
    caplog.set_level(logging.INFO)
    wrong, right = (mechanism, "example/live", "wrong"), (mechanism, "example/live", KEY)
    assert attempts(wrong, right, wrong, ("PLAIN", "u", KEY)) == ["535", "235", "535", "454"]
    assert caplog.text.count("AUTH failed (127.0.0.1)") == 2
    assert "wrong" not in caplog.text


def test_plain_without_a_key_is_no_guess():
    async def work() -> None:
        async with Running(login_limits=Limits(of_client=1)) as server:
            talk = await server.talk("EHLO c")
            for argument in (coded("user"), "=", "?"):
                assert (await talk.say(f"AUTH PLAIN {argument}")).startswith("535 ")
            assert (await log_in(talk, "PLAIN", "u", KEY)).startswith("235 ")

    run(work())


@each(
    "mechanism, lines",
    [*((mechanism, ["*"]) for mechanism in MECHANISMS), ("PLAIN", ["* "]), ("LOGIN", ["Og==", "*"])],
)
def test_an_asterisk_gives_up_and_counts_for_nothing(mechanism, lines, caplog):
    """RFC 4954 section 4."""
    caplog.set_level(logging.INFO)

    async def work() -> None:
        async with Running(login_limits=Limits(of_client=1), max_errors=2) as server:
            talk = await server.talk("EHLO c")
            for _ in range(5):
                assert (await talk.say(f"AUTH {mechanism}")).startswith("334")
                replies = [await talk.say(line) for line in lines]
                assert replies[-1] == "501 5.7.0 Authentication cancelled"
                assert (await talk.say("NOOP")).startswith("250 ")
            assert (await log_in(talk, "PLAIN", "u", KEY)).startswith("235 ")
            assert not [name for name, _ in server.counted if name.endswith("client_errors")]

    run(work())
    assert "AUTH failed" not in caplog.text


def test_giving_up_leaves_who_is_logged_in():
    async def work() -> None:
        async with Running() as server:
            talk = await server.talk("EHLO c")
            await log_in(talk, "PLAIN", "u", KEY)
            await talk.say("AUTH LOGIN")
            await talk.say("*")
            await talk.say("MAIL FROM:<a@example.test>")
            assert (await talk.say("RCPT TO:<b@elsewhere.example>")).startswith("250 ")

    run(work())


def test_who_has_to_wait_is_counted_apart():
    async def work() -> None:
        async with Running(login_limits=Limits(of_client=1)) as server:
            talk = await server.talk("EHLO c")
            await log_in(talk, "PLAIN", "u", "wrong")
            assert await log_in(talk, "PLAIN", "u", KEY) == (
                "454 4.7.0 Too many failed authentications, try again later"
            )
            errors = [labels["error"] for name, labels in server.counted if name.endswith("client_errors")]
            assert errors == ["invalid-credentials", "too-many-auth-failures"]

    run(work())
