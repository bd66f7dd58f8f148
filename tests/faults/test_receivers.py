"""DNS that is gone, and receivers at their worst: mail waits for them, and keeps nobody else waiting."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from postal_server.transports.dns import FAILURE_TTL
from tests.faults.load import API, SMTP
from tests.faults.stage import DESTINATIONS, wait_until
from tests.postal_server.transports.smtp.scripted import CLOSE, HANG

# What is heard instead of an answer. A host has minutes for its answer to the final dot (RFC 5321 section
# 4.5.3.2.6), so that the one that hangs there is found out last.
FAULTS = {"hang": HANG, "close": CLOSE, "garbage": "\x00\xff nonsense", "later": "451 4.3.0 come again"}
STAGES = ("BANNER", "EHLO", "MAIL", "RCPT", "DATA", "DOT")
SCRIPTS = {
    f"{stage}-{name}.example".lower(): {stage: answer} for stage in STAGES for name, answer in FAULTS.items()
}
PATIENT = "dot-hang.example"
GOOD_WITHIN = 15.0  # seconds
JUDGED_WITHIN = 60.0


def deferred(stage) -> set[str]:
    """Recipients whose message was tried in vain and will be tried again."""
    rows = stage.query(
        "SELECT m.rcpt_to FROM postal_server_message m JOIN postal_server_queuedmessage q ON q.id = m.id "
        "WHERE m.status = 'SoftFail' AND q.due_at IS NOT NULL"
    )
    return {recipient for (recipient,) in rows}


def submit(stage, destinations, count: int, kinds=(API,)) -> set[str]:
    """Submit about `count` messages, in turn to these destinations; their recipients."""
    stage.submit(rate=100, destinations=destinations, kinds=kinds)
    wait_until(lambda: len(stage.acknowledged()) >= count, 60, f"{count} messages are taken")
    stage.end_load()
    return set(stage.acknowledged())


def test_bad_receivers_keep_nobody_else_waiting(play, tabulate):
    stage = play(
        scripts=SCRIPTS,
        options={
            "smtp_client": {"open_timeout": 2, "read_timeout": 2},
            "worker": {"max_connections": 200, "connections_per_destination": 2},
        },
    )
    stage.start("web", "worker")
    good = "good.example"
    acknowledged = submit(stage, [*SCRIPTS, good], 2 * (len(SCRIPTS) + 1))
    ended_at = time.monotonic()
    welcome = {who for who in acknowledged if who.endswith(f"@{good}")}
    wait_until(lambda: welcome <= set(stage.arrivals()), GOOD_WITHIN, "the good receiver has its mail")
    prompt = time.monotonic() - ended_at
    bad = {who for who in acknowledged - welcome if not who.endswith(f"@{PATIENT}")}
    wait_until(lambda: bad <= deferred(stage), JUDGED_WITHIN, "all others are to be tried again")
    tabulate(
        "Receivers at their worst",
        {
            "faults": len(SCRIPTS),
            "delivered to the good one, seconds": f"{prompt:.1f}",
            "deferred": len(bad),
            "all judged, seconds": f"{time.monotonic() - ended_at:.0f}",
        },
    )
    assert welcome
    still_there = {row for (row,) in stage.query("SELECT status FROM postal_server_message")}
    assert still_there <= {"Sent", "SoftFail", "Pending"}, "nothing has failed for good"
    assert stage.twice() == {}


def test_without_dns_mail_waits(play):
    stage = play()
    stage.start("web", "smtp", "worker")
    stage.flag("silent", True)
    acknowledged = submit(stage, DESTINATIONS, 2 * len(DESTINATIONS), kinds=(API, SMTP))
    wait_until(lambda: acknowledged <= deferred(stage), JUDGED_WITHIN, "all is to be tried again")
    assert stage.arrivals() == {}
    stage.flag("silent", False)
    time.sleep(FAILURE_TTL)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    stage.query(f"UPDATE postal_server_queuedmessage SET due_at = '{now}'")
    wait_until(lambda: not stage.missing(), JUDGED_WITHIN, "all is delivered")
    assert stage.twice() == {}
