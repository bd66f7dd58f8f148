"""Nothing acknowledged is lost: not by SIGKILL between acceptance and delivery, not by a clean stop."""

from __future__ import annotations

import smtplib
import time

import requests

from postal_server.testing import RunningServer

COUNT = 20


def submit(postal, kind, number):
    recipient = f"{kind}-{number}@example.org"
    if kind == "api":
        answer = requests.post(
            f"{postal.url}/api/v1/send/message",
            json={"to": [recipient], "from": f"a@{postal.domain}", "subject": "x", "plain_body": "x"},
            headers={"X-Server-API-Key": postal.api_key},
            timeout=30,
        )
        assert answer.json()["status"] == "success"
    else:
        with smtplib.SMTP(*postal.smtp_address, timeout=30) as client:
            client.login("anybody", postal.smtp_key)
            client.sendmail(f"a@{postal.domain}", recipient, f"From: a@{postal.domain}\r\n\r\nx\r\n")
    return recipient


def delivered(postal, wanted, seconds):
    """The recipients that got mail, once all of `wanted` did or after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = [mail.rcpt_to for mail in postal.outbox]
        if wanted <= set(found) or time.monotonic() > end:
            return found
        time.sleep(0.2)


def test_everything_acknowledged_before_sigkill_is_delivered_after_a_restart(tmp_path):
    running = RunningServer(tmp_path)
    running.start()
    try:
        postal = running.add()
        postal.simulate("*@example.org", "250 OK", delay=60.0)  # until it is killed
        wanted = {submit(postal, kind, number) for kind in ("api", "smtp") for number in range(COUNT)}
        assert len(postal.outbox) == 0
        running.kill()
        running.start()
        postal.simulate("*@example.org", "250 OK", delay=0.0)
        found = delivered(postal, wanted, seconds=60)
        assert wanted == set(found)
        assert len(found) == len(wanted), "the connections were cut before the final dot: nothing is twice"
    finally:
        running.stop()


def test_clean_stop_is_quick_and_loses_nothing(tmp_path):
    running = RunningServer(tmp_path)
    running.start()
    try:
        postal = running.add()
        wanted = {submit(postal, kind, number) for number in range(COUNT) for kind in ("api", "smtp")}
        before = time.monotonic()
        running.stop()
        assert time.monotonic() - before < 5
        running.start()
        assert delivered(postal, wanted, seconds=60) is not None
        assert wanted == {mail.rcpt_to for mail in postal.outbox}
    finally:
        running.stop()
