"""PostgreSQL is stopped for a while, or does not answer: nothing acknowledged is lost, nothing sent twice."""

from __future__ import annotations

import asyncio
import smtplib
import time

from tests.faults.load import API, Client, Refused
from tests.faults.stage import silenced, wait_until

RATE = 40.0
SECONDS_OF_LOAD = 4.0
RECOVERED_WITHIN = 60.0  # seconds after the database is back
MEMORY_GROWTH = 48 * 1024 * 1024  # bytes, of one process, while the database does not answer


def refused_well(kind: str, text: str) -> bool:
    """Was the client asked to come again, or was no server there?"""
    if not text:
        return True
    if kind == API:
        return text.startswith("503 ") and "Retry-After: None" not in text
    return text.startswith("452 4.3.1")


def answer_to_mail(stage) -> str:
    """The reply to MAIL of a new client."""
    with smtplib.SMTP(*stage.order.smtp, timeout=30) as client:
        client.ehlo()
        code, text = client.mail("someone@elsewhere.example")
    return f"{code} {text.decode()}"


def answer_to_a_post(stage) -> str:
    """The response of the API to a new client; empty if its mail is accepted."""
    try:
        asyncio.run(Client(stage.order, API).submit("new@d1.example"))
    except Refused as refusal:
        return str(refusal)
    return ""


def test_a_database_that_is_gone_for_a_while(cluster, play, scale, tabulate):
    stage = play(database=cluster.url)
    stage.start("web", "smtp", "worker")
    stage.submit(rate=RATE)
    time.sleep(SECONDS_OF_LOAD)
    cluster.stop()
    before = len(stage.acknowledged())
    time.sleep(scale.seconds_away)
    meanwhile = len(stage.acknowledged()) - before
    cluster.start()
    back_at = time.monotonic()
    wait_until(lambda: len(stage.acknowledged()) > before + meanwhile + 50, 30, "mail is taken again")
    stage.end_load()
    wait_until(
        lambda: not stage.missing() and not stage.unheard() and not stage.queued(),
        RECOVERED_WITHIN,
        "all is delivered",
    )
    refusals = stage.refusals()
    tabulate(
        f"PostgreSQL away for {scale.seconds_away:g} s",
        {
            "acknowledged": len(stage.acknowledged()),
            "refused": len(refusals),
            "lost": len(stage.missing()),
            "delivered twice": sum(stage.twice().values()),
            "all there, seconds after it was back": f"{time.monotonic() - back_at:.0f}",
        },
    )
    assert meanwhile == 0
    assert refusals
    assert [(kind, text) for kind, text in refusals if not refused_well(kind, text)] == []
    assert stage.twice() == {}, "what was sent was recorded once that could be done"


def test_a_database_that_does_not_answer_makes_no_queue_in_memory(cluster, play, scale, tabulate):
    stage = play(database=cluster.url)
    stage.start("web", "smtp", "worker")
    stage.submit(rate=0, connections=30, size_bytes=100_000)
    wait_until(lambda: len(stage.acknowledged()) > 100, 30, "mail is taken")
    memory = {name: process.memory_bytes() for name, process in stage.processes.items()}
    with silenced(cluster.pid):
        time.sleep(scale.seconds_away)
        # New clients: those of the load may all wait for a commit that only the database can end.
        reply, api_answer = answer_to_mail(stage), answer_to_a_post(stage)
        growth = {name: p.memory_bytes() - memory[name] for name, p in stage.processes.items()}
        refusals = stage.refusals()
    back_at = time.monotonic()
    before = len(stage.acknowledged())
    wait_until(lambda: len(stage.acknowledged()) > before + 50, 30, "mail is taken again")
    stage.end_load()
    wait_until(
        lambda: not stage.missing() and not stage.unheard() and not stage.queued(),
        2 * RECOVERED_WITHIN,
        "all is delivered",
    )
    tabulate(
        f"PostgreSQL silent for {scale.seconds_away:g} s",
        {
            "acknowledged": len(stage.acknowledged()),
            "refused meanwhile": len(refusals),
            "lost": len(stage.missing()),
            "delivered twice": sum(stage.twice().values()),
            **{f"memory of {name}, growth in MB": growth[name] >> 20 for name in growth},
            "all there, seconds after it was back": f"{time.monotonic() - back_at:.0f}",
        },
    )
    assert reply.startswith("452 4.3.1")
    assert api_answer.startswith("503 ")
    assert refused_well(API, api_answer)
    assert [(kind, text) for kind, text in refusals if not (text and refused_well(kind, text))] == []
    assert max(growth.values()) < MEMORY_GROWTH
    assert stage.twice() == {}, "what was sent was recorded once that could be done"
