"""Who has to wait after wrong passwords and keys, and who has not."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from postal_server import conf
from postal_server.services.shared import throttle
from postal_server.services.shared.throttle import Limits, Throttle

LIMITS = Limits(of_account_and_client=2, of_client=4, of_account=6, window=timedelta(seconds=100))
HERE, THERE = "192.0.2.1", "198.51.100.1"


def failing(*places: tuple[str, str], at: float = 0.0) -> Throttle:
    found = Throttle(LIMITS)
    for account, client in places:
        found.failed(account, client, at)
    return found


def test_account_of_a_client_waits_for_the_rest_of_the_window():
    found = Throttle(LIMITS)
    found.failed("ann", HERE, 0.0)
    assert found.wait("ann", HERE, 1.0) == 0
    found.failed("ann", HERE, 30.0)
    assert found.wait("ann", HERE, 40.0) == 60.0
    assert found.wait("ann", HERE, 100.0) == 0
    found.failed("ann", HERE, 100.0)
    assert found.wait("ann", HERE, 100.0) == 30.0  # the second and this one


def test_other_accounts_and_other_clients_go_on():
    found = failing(("ann", HERE), ("ann", HERE))
    assert found.wait("ann", THERE, 0.0) == 0
    assert found.wait("bob", HERE, 0.0) == 0


def test_account_is_the_same_in_any_case():
    assert failing(("Ann", HERE), ("ANN", HERE)).wait("ann", HERE, 0.0) > 0


def test_client_that_tries_many_accounts_waits_for_all_of_them():
    found = failing(*[(f"user{number}", HERE) for number in range(4)])
    assert found.wait("ann", HERE, 0.0) > 0
    assert found.wait("", HERE, 0.0) > 0
    assert found.wait("ann", THERE, 0.0) == 0


def test_ipv6_line_is_one_client():
    found = failing(*[("", f"2001:db8::{number}") for number in range(4)])
    assert found.wait("", "2001:db8::ffff", 0.0) > 0
    assert found.wait("", "2001:db8:0:1::1", 0.0) == 0


def test_account_that_is_tried_from_many_places_waits_in_new_ones():
    found = failing(*[("ann", f"203.0.113.{number}") for number in range(6)])
    assert found.wait("ann", THERE, 0.0) > 0
    assert found.wait("bob", THERE, 0.0) == 0


def test_stranger_cannot_keep_a_person_out():
    """From where she logged in before, whatever others try."""
    found = Throttle(LIMITS)
    found.succeeded("ann", HERE)
    for number in range(50):
        found.failed("ann", f"203.0.113.{number}", 0.0)
    assert found.wait("ann", HERE, 0.0) == 0
    assert found.wait("ann", THERE, 0.0) > 0


def test_neighbour_behind_the_same_address_cannot_either():
    found = Throttle(LIMITS)
    found.succeeded("ann", HERE)
    for number in range(50):
        found.failed(f"user{number}", HERE, 0.0)
    assert found.wait("ann", HERE, 0.0) == 0
    assert found.wait("bob", HERE, 0.0) > 0
    for _ in range(2):
        found.failed("ann", HERE, 0.0)
    assert found.wait("ann", HERE, 0.0) > 0


def test_login_forgets_the_slips_before_it():
    found = failing(("ann", HERE))
    found.succeeded("ann", HERE)
    found.failed("ann", HERE, 1.0)
    assert found.wait("ann", HERE, 1.0) == 0


def test_login_to_an_own_account_does_not_free_the_client_for_others():
    found = failing(*[(f"user{number}", HERE) for number in range(4)])
    found.succeeded("mine", HERE)
    assert found.wait("ann", HERE, 0.0) > 0


def test_secret_without_an_account_counts_by_client_alone():
    found = failing(*[("", HERE)] * 3)
    assert found.wait("", HERE, 0.0) == 0
    found.failed("", HERE, 0.0)
    assert found.wait("", HERE, 0.0) > 0
    assert found.wait("", THERE, 0.0) == 0


def test_client_without_an_address_has_a_limit_too():
    assert failing(*[("", "")] * 4).wait("", "", 0.0) > 0


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(throttle, "MAX_REMEMBERED", 10)
    found = Throttle(LIMITS)
    for number in range(100):
        found.failed("x" * 100_000 + str(number), f"203.0.{number}.1", 0.0)
        found.succeeded(f"user{number}", HERE)
    assert len(found._failures) == len(found._known) == 10
    assert max(len(account) for account, _ in found._failures) <= throttle.MAX_ACCOUNT_LENGTH


@pytest.fixture
def hasty_threads():
    """Threads that take turns after each step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_that_check_passwords_share_it(monkeypatch, hasty_threads):
    monkeypatch.setattr(throttle, "MAX_REMEMBERED", 10)
    found = Throttle(LIMITS)

    def guess(thread: int) -> None:
        for number in range(5000):
            account, client = f"{thread}-{number}", f"192.0.2.{number % 250}"
            found.wait(account, client, 0.0)
            found.failed(account, client, 0.0)
            found.succeeded(account, client)

    with ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(guess, thread) for thread in range(4)]:
            each.result()
    assert max(len(found._failures), len(found._known)) == 10


def test_limits_are_those_of_the_configuration(tmp_path):
    document = {"login": {"max_failures": 3, "max_failures_per_client": 5, "window_minutes": 2}}
    found = Limits.of(conf.parse(document, {}, tmp_path))
    assert found == Limits(3, 5, 100, timedelta(minutes=2))
