"""Every dialogue recorded with a real Postal, said again: the class of each reply, and what EHLO offers."""

from __future__ import annotations

import base64
import hmac
import json
import re
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from postal_server.smtpd.tls import Certificates
from tests.each import each
from tests.loops import LOOPS, run

from .talk import HOSTNAME, Running, Talk

CASES = json.loads((Path(__file__).parents[2] / "vectors/recorded/smtp.json").read_text())
# What is right where Postal does harm.
DEVIATIONS = {
    "only-refused-then-data": ["2", "2", "2", "5", "5", "2"],
    "starttls-injected": [
        "2",
        "2",
        "2",
        "2",
        "2",
    ],  # the injected NOOP is not answered, neither before nor after
}
NOT_SAID = {"BDAT 5 LAST"}  # we know it, and wait for five bytes
VALUES = {
    "domain": "example.test",
    "DOMAIN": "EXAMPLE.TEST",
    "wild_domain": "wild.test",
    "suspended_domain": "suspended.test",
    "private_domain": "private.test",
    "route_token": "PFidnp7X",
    "route_domain": "routes.postal.example.test",
    "return_path_domain": "rp.postal.example.test",
    "server_token": "s8halm",
    "smtp_hostname": HOSTNAME,
    "smtp_key": "K70gy3gHQZaFB9vMhiHcbnpN",
    "smtp_hold_key": "Bqp29gM1QcnSurTFJ3YvXRHD",
    "private_smtp_key": "4qur4DG7VFUTl27fO05up7si",
}


def fill(text: str, name: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: {**VALUES, "name": name}.get(m[1], m[0]), text)


def offers(reply: str) -> set[str]:
    return {word for line in reply.splitlines()[1:] for word in line[4:].upper().split()}


async def say_again(case: dict[str, Any], talk: Talk) -> tuple[list[str], list[set[str]]]:
    """The class of each reply (`<` for a closed connection), and the offers of each EHLO."""
    classes, offered, name = ["2"], [], case["name"]
    reply = "220"
    for step in case["say"]:
        if isinstance(step, str) and step in NOT_SAID:
            continue
        if step == ["tls"]:
            await talk.start_tls()
            continue
        if isinstance(step, str):
            head, mark, secret = fill(step, name).partition("b64:")
            reply = await talk.say(head + base64.b64encode(secret.encode()).decode() if mark else head)
        elif step[0] == "data":
            if not reply.startswith("354"):
                continue
            text = fill(step[1], name) * (step[2] if len(step) > 2 else 1)
            talk.send(re.sub(r"(?m)^\.", "..", text).encode() + b".\r\n")
            reply = await talk.reply()
        elif step[0] == "raw":
            talk.send(fill(step[1], name).encode())
            reply = await talk.reply()
            for _ in range(3 if name == "pipelined" else 0):
                classes.append(reply[0])
                reply = await talk.reply()
        else:
            challenge = base64.b64decode((await talk.say("AUTH CRAM-MD5"))[4:])
            classes.append("3")
            digest = hmac.new(fill(step[2], name).encode(), challenge, "md5").hexdigest()
            reply = await talk.say(base64.b64encode(f"{step[1]} {digest}".encode()).decode())
        classes.append(reply[0])
        if isinstance(step, str) and step.upper().startswith("EHLO"):
            offered.append(offers(reply))
    return classes, offered


def recorded(case: dict[str, Any]) -> tuple[list[str], list[set[str]]]:
    lines = case["dialogue"]
    for left_out in NOT_SAID:
        if f"C: {left_out}" in lines:
            del lines[lines.index(f"C: {left_out}") : lines.index(f"C: {left_out}") + 2]
    classes = [line[3] for line in lines if line.startswith("S: ") and line[6:7] != "-"]
    offered: list[set[str]] = []
    told = ""
    for line in lines:
        told = line[3:].upper() if line.startswith("C: ") else told
        if told.startswith("EHLO") and line.startswith("S: 250-My"):
            offered.append(set())
        elif told.startswith("EHLO") and line.startswith("S: 250"):
            offered[-1] |= set(line[7:].upper().split())
    return classes, offered


@pytest.mark.parametrize("loop", LOOPS)
@each("case", CASES, ids=itemgetter("name"))
def test_replies_have_the_recorded_classes(case, loop, certificate):
    async def dialogue() -> None:
        async with Running(certificates=Certificates(*certificate)) as server:
            classes, offered = await say_again(case, await server.talk())
        wanted, wanted_offers = recorded(case)
        assert classes == DEVIATIONS.get(case["name"], wanted)
        assert all(theirs <= ours for theirs, ours in zip(wanted_offers, offered, strict=False))

    run(dialogue(), loop)
