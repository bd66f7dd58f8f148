"""Guessing passwords of the administration: it is throttled, and slows nobody else down."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.altered import AlteredServer

ANSWERED_WITHIN = 5.0  # seconds: ten times what a quiet machine takes at most


@pytest.fixture(scope="module")
def patient():
    """A server that lets all of the guesses be checked, which is what costs."""
    limits = "login: {max_failures: 1000, max_failures_per_client: 1000, max_failures_per_account: 1000}\n"
    with AlteredServer({"web_server: {": f"{limits}web_server: {{"}) as running:
        yield running


def guess(url: str, name: str, headers: dict[str, str] | None = None) -> requests.Response:
    with requests.Session() as browser:
        page = browser.get(f"{url}/admin/login/", timeout=60).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        form = {"username": name, "password": "guess", "csrfmiddlewaretoken": token}
        return browser.post(f"{url}/admin/login/", form, headers=headers, timeout=120)


@pytest.mark.parametrize("guesses", [12, pytest.param(60, marks=pytest.mark.drill)])
def test_wrong_logins_at_once_do_not_slow_the_api(patient, guesses):
    server = patient.add()
    call = {"json": {"id": 1}, "headers": {"X-Server-API-Key": server.api_key}, "timeout": 60}
    guess(patient.url, "warm")
    done = threading.Event()
    waits: list[float] = []

    def ask() -> None:
        while not done.is_set():
            began = time.monotonic()
            assert requests.post(f"{patient.url}/api/v1/messages/message", **call).status_code == 200
            waits.append(time.monotonic() - began)

    with ThreadPoolExecutor(guesses + 1) as pool:
        asking = pool.submit(ask)
        tried = [pool.submit(guess, patient.url, f"user{number}") for number in range(guesses)]
        assert {each.result().status_code for each in tried} == {200}
        done.set()
        asking.result()
    print(f"{len(waits)} calls, the longest took {max(waits):.2f} s")
    assert max(waits) < ANSWERED_WITHIN


def test_guesses_are_answered_429_and_logged(postal_server):
    answers = [guess(postal_server.url, "root", {"X-Forwarded-For": "203.0.113.77"}) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert postal_server.log().count("Login of 'root' failed (203.0.113.77)") == 10
    assert guess(postal_server.url, "root", {"X-Forwarded-For": "203.0.113.78"}).status_code == 200


def test_long_form_takes_no_thread_of_logins(postal_server):
    answer = requests.post(f"{postal_server.url}/admin/login/", {"password": "x" * 200_000}, timeout=20)
    assert answer.status_code == 413
