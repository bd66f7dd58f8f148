import pytest

from postal_server.rules import hold
from postal_server.rules.status import ServerMode


@pytest.mark.parametrize(
    ("mode", "manual", "held"),
    [
        (ServerMode.LIVE, False, False),
        (ServerMode.LIVE, True, False),
        (ServerMode.DEVELOPMENT, False, True),
        (ServerMode.DEVELOPMENT, True, False),
    ],
)
def test_development_servers_hold_what_was_not_released(mode, manual, held):
    assert (hold.by_mode(mode, manual) == hold.DEVELOPMENT) is held


@pytest.mark.parametrize(
    ("holding", "manual", "held"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_holding_credential_holds_what_was_not_released(holding, manual, held):
    assert (hold.by_credential(holding, manual) == hold.CREDENTIAL) is held


def test_a_suppressed_recipient_is_held_with_the_reason():
    assert hold.by_suppression("a@b.example", "too many hard fails") == (
        "Recipient (a@b.example) is on the suppression list (reason: too many hard fails)"
    )


@pytest.mark.parametrize(
    ("volume", "limit", "held"), [(9, 10, False), (10, 10, True), (99, None, False), (0, 0, True)]
)
def test_the_send_limit_holds_from_the_limit_on(volume, limit, held):
    text = hold.by_send_limit(volume, limit)
    assert (text == f"Message held because send limit ({limit}) has been reached.") is held


@pytest.mark.parametrize(
    ("volume", "limit", "near"), [(89, 100, False), (90, 100, True), (100, 100, False), (9, None, False)]
)
def test_the_limit_is_near_from_nine_tenths_on(volume, limit, near):
    assert hold.is_limit_approaching(volume, limit) is near
