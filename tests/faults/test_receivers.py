"""DNS that is gone, and receivers at their worst: mail waits for them, and keeps nobody else waiting."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timezone

from postal_server.transports.dns import FAILURE_TTL
from tests.faults.load import API, SMTP
from tests.faults.stage import DESTINATIONS, wait_until
from tests.postal_server.transports.smtp.scripted import CLOSE, HANG

# What is heard instead of an answer.
FAULTS = {"hang": HANG, "close": CLOSE, "garbage": "\x00\xff nonsense", "later": "451 4.3.0 come again"}
STAGES = ("BANNER", "EHLO", "MAIL", "RCPT", "DATA", "DOT")
SCRIPTS = {
    f"{stage}-{name}.example".lower(): {stage: answer} for stage in STAGES for name, answer in FAULTS.items()
}
# More of them would hang than there are connections, if each could have as many as it has messages.
MESSAGES_A_HOST = 6
CONNECTIONS = {"max_connections": 30, "connections_per_destination": 4}
HANG_SECONDS = 5
GOOD_WITHIN = 4.0  # seconds: sooner than a connection that hangs is given up
# A host has ten minutes for its answer to the final dot (RFC 5321 section 4.5.3.2.6), but for the test suite.
JUDGED_WITHIN = {False: 60.0, True: 60.0 + 2 * 600.0}


def deferred(stage) -> set[str]:
    """Recipients whose message was tried in vain and will be tried again."""
    rows = stage.query(
        "SELECT m.rcpt_to FROM postal_server_message m JOIN postal_server_queuedmessage q ON q.id = m.id "
        "WHERE m.status = 'SoftFail' AND q.due_at IS NOT NULL"
    )
    return {recipient for (recipient,) in rows}


def submit(stage, destinations, count: int, kinds=(API,), **values) -> set[str]:
    """Submit about `count` messages, in turn to these destinations; their recipients."""
    before = set(stage.acknowledged())
    stage.submit(rate=200, destinations=destinations, kinds=kinds, **values)
    wait_until(lambda: len(stage.acknowledged()) >= len(before) + count, 60, f"{count} messages are taken")
    stage.end_load()
    return set(stage.acknowledged()) - before


def test_bad_receivers_do_not_delay_other_mail(play, scale, tabulate):
    stage = play(
        scripts=SCRIPTS,
        options={
            "smtp_client": {"open_timeout": HANG_SECONDS, "read_timeout": HANG_SECONDS},
            "worker": CONNECTIONS,
        },
        final_dot=HANG_SECONDS,
    )
    stage.start("web", "worker")
    bad = submit(stage, list(SCRIPTS), MESSAGES_A_HOST * len(SCRIPTS))
    good = submit(stage, ["good.example"], 10, first=1_000_000)
    ended_at = time.monotonic()
    wait_until(lambda: good <= set(stage.arrivals()), GOOD_WITHIN, "the good receiver has its mail")
    prompt = time.monotonic() - ended_at
    wait_until(
        lambda: bad <= deferred(stage), JUDGED_WITHIN[scale.is_soak], "all others are to be tried again"
    )
    dots = stage.final_dots()
    tabulate(
        "Receivers at their worst",
        {
            "faults": len(SCRIPTS),
            "delivered to the good one, seconds": f"{prompt:.1f}",
            "deferred": len(bad),
            "all judged, seconds": f"{time.monotonic() - ended_at:.0f}",
        },
    )
    still_there = {row for (row,) in stage.query("SELECT status FROM postal_server_message")}
    assert still_there == {"Sent", "SoftFail"}, "nothing has failed for good"
    assert stage.twice() == {}
    given = {who for who in bad if who.partition("@")[2].startswith("dot-")}
    assert dots == Counter(given), "whose answer to the final dot is bad has the message: not again at once"


def test_without_dns_mail_waits(play):
    stage = play(options={"dns": {"timeout": 1}})
    stage.start("web", "smtp", "worker")
    stage.flag("silent", True)
    acknowledged = submit(stage, DESTINATIONS, 2 * len(DESTINATIONS), kinds=(API, SMTP))
    wait_until(lambda: acknowledged <= deferred(stage), JUDGED_WITHIN[False], "all is to be tried again")
    assert stage.arrivals() == {}
    stage.flag("silent", False)
    time.sleep(FAILURE_TTL)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    stage.query(f"UPDATE postal_server_queuedmessage SET due_at = '{now}'")
    wait_until(lambda: not stage.missing(), JUDGED_WITHIN[False], "all is delivered")
    assert stage.twice() == {}
