from __future__ import annotations

import pytest

from postal_server import conf
from postal_server.rules.delivery_policy import Allowlist, DeliveryMode, DeliveryPolicy
from tests.each import each

LISTED = Allowlist.parse(
    [
        "Ann@Example.com",
        "qa.example",
        "Bücher.example.",
        "jürgen@grüße.example",
        '"Eve"@one.example',
        "dev@[192.0.2.1]",
    ]
)


@each(
    "recipient, is_caught",
    [
        ("ann@example.com", False),
        ("ANN@EXAMPLE.COM", False),
        ("ann@example.com.", False),
        ('"ann"@example.com', False),
        ("ann+tag@example.com", True),
        ("a.nn@example.com", True),
        ("bob@example.com", True),
        ("ann@sub.example.com", True),
        ("anybody@qa.example", False),
        ("anybody@QA.Example.", False),
        ('"a@b"@qa.example', False),
        ('"x@qa.example"@dest.example', True),
        ("anybody@sub.qa.example", True),
        ("anybody@notqa.example", True),
        ("anybody@qa.example.evil.example", True),
        ("x@bücher.example", False),
        ("x@xn--bcher-kva.example", False),
        ("jürgen@xn--gre-6ka8l.example", False),
        ("juergen@grüße.example", True),
        ("eve@one.example", False),
        ("dev@[192.0.2.1]", False),
        ("dev@[192.0.2.2]", True),
        ("qa.example", True),
        ("", True),
    ],
)
def test_only_who_is_listed_gets_mail(recipient, is_caught):
    assert DeliveryPolicy(DeliveryMode.ALLOWLIST, LISTED).catches(recipient) is is_caught


@each(
    "domain, may_reach",
    [
        ("qa.example", True),
        ("QA.example.", True),
        ("example.com", True),
        ("sub.qa.example", False),
        ("com", False),
        ("bücher.example", True),
        ("[192.0.2.1]", True),
        ("[192.0.2.2]", False),
        ("", False),
    ],
)
def test_mail_may_reach_domains_that_are_listed_or_have_an_address_that_is(domain, may_reach):
    assert DeliveryPolicy(DeliveryMode.ALLOWLIST, LISTED).may_reach(domain) is may_reach


@each(
    "mode, catches, needs_catch, catches_all",
    [
        (DeliveryMode.CATCH, True, True, True),
        (DeliveryMode.ALLOWLIST, True, True, False),
        (DeliveryMode.MX, False, False, False),
        (DeliveryMode.RELAYS, False, False, False),
    ],
)
def test_without_a_list_the_mode_decides(mode, catches, needs_catch, catches_all):
    policy = DeliveryPolicy(mode)
    assert policy.catches("ann@example.com") is catches
    assert policy.may_reach("example.com") is not catches
    assert (policy.needs_catch, policy.catches_all) == (needs_catch, catches_all)


def test_other_modes_do_not_mind_the_list():
    assert DeliveryPolicy(DeliveryMode.CATCH, LISTED).catches("ann@example.com")
    assert not DeliveryPolicy(DeliveryMode.MX, LISTED).catches("bob@dest.example")


@pytest.mark.parametrize(
    "entry",
    [
        *("*.example.com", "@example.com", "ann@", "two words", "Ann <ann@example.com>", "https://a.example"),
        *(".", "192.0.2.1", "a..b", "-a.example", "ann@exa mple.com", "a" * 64 + ".example"),
    ],
)
def test_what_is_neither_an_address_nor_a_domain_is_named(entry):
    with pytest.raises(ValueError, match="neither an address such as") as error:
        Allowlist.parse(["ann@example.com", entry])
    assert repr(entry) in str(error.value)


def test_the_modes_are_those_of_the_configuration():
    assert [mode.value for mode in DeliveryMode] == list(conf.DELIVERY_MODES)
