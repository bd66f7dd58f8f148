import traceback

import pytest

from postal_server import conf
from postal_server.errors import ConfigurationError
from postal_server.services.preparation import target
from postal_server.services.shared.entries import SMTPEndpointEntry
from postal_server.services.shared.work import Target
from tests.each import each

CAUGHT = Target("dest.example", host="127.0.0.1", port=2526)
ENDPOINT = SMTPEndpointEntry(1, 1, "s", hostname="mx.internal", ssl_mode="TLS")


def config(tmp_path, **groups):
    return conf.parse(groups, {}, tmp_path)


def test_by_default_everything_is_caught(tmp_path):
    relays = {"smtp_relays": ["smtp://relay.example"]}
    assert target.for_recipient("a@dest.example", config(tmp_path, postal=relays)) == CAUGHT
    assert target.for_endpoint(ENDPOINT, "a@dest.example", config(tmp_path)) == CAUGHT


def test_only_who_is_listed_gets_mail(tmp_path):
    listed = config(tmp_path, delivery={"mode": "allowlist", "allowlist": ["a@dest.example", "qa.example"]})
    assert target.for_recipient("a@dest.example", listed) == Target("dest.example")
    assert target.for_recipient("b@dest.example", listed) == CAUGHT
    assert target.for_endpoint(ENDPOINT, "in@qa.example", listed).host == "mx.internal"
    assert target.for_endpoint(ENDPOINT, "b@dest.example", listed) == CAUGHT


def test_relays_take_the_mail_of_who_is_listed(tmp_path):
    listed = config(
        tmp_path,
        delivery={"mode": "allowlist", "allowlist": "qa.example"},
        postal={"smtp_relays": ["smtp://relay.example"]},
    )
    assert target.for_recipient("a@qa.example", listed).host == "relay.example"
    assert target.for_recipient("a@dest.example", listed) == CAUGHT


def test_mx_mode_goes_to_the_domain_and_to_the_endpoints_host(tmp_path):
    mx = config(tmp_path, delivery={"mode": "mx"})
    assert target.for_recipient("a@dest.example", mx) == Target("dest.example")
    assert target.for_endpoint(ENDPOINT, "a@d.example", mx) == Target("d.example", "mx.internal", None, "TLS")


def test_mail_for_which_tls_is_optional_says_so_where_a_domain_has_a_policy(tmp_path):
    mx = config(tmp_path, delivery={"mode": "mx"})
    assert target.for_recipient("a@dest.example", mx, tls_optional=True) == Target(
        "dest.example", tls_optional=True
    )


def test_relays_are_tried_in_their_order(tmp_path):
    urls = ["smtp://user:p%40ss@one.example:587?ssl_mode=STARTTLS", "smtp://two.example"]
    relayed = config(tmp_path, delivery={"mode": "mx"}, postal={"smtp_relays": urls})
    second = Target("dest.example", "two.example", 25)
    assert target.for_recipient("a@dest.example", relayed) == Target(
        "dest.example", "one.example", 587, "STARTTLS", "user", "p@ss", (second,)
    )


@each("url", ["smtp://", "smtp://h:port", "smtp://h:99999", "smtp://h?ssl_mode=maybe"])
def test_a_bad_relay_is_named(url):
    with pytest.raises(ConfigurationError, match="smtp_relays"):
        target.read_relay(url)


@each(
    "url",
    ["smtp://u:secret@h?ssl_mode=maybe", "smtp://u:secret/x@h", "smtp://u:secret@[::1", "smtp://u:secret@"],
)
def test_a_bad_relay_does_not_show_its_password(url):
    with pytest.raises(ConfigurationError) as error:
        target.read_relay(url)
    assert "secret" not in "".join(traceback.format_exception(error.value))


def test_relays_are_checked_at_start(tmp_path):
    target.check_relays(config(tmp_path, postal={"smtp_relays": ["smtp://relay.example"]}))
    with pytest.raises(ConfigurationError, match="smtp_relays"):
        target.check_relays(config(tmp_path, postal={"smtp_relays": ["smtp://h?ssl_mode=maybe"]}))


def test_a_broken_network_is_named_and_a_host_name_is_none(tmp_path):
    wrong = config(tmp_path, delivery={"allowed_destinations": ["10.0.0.0/33"]})
    with pytest.raises(
        ConfigurationError, match=r"delivery\.allowed_destinations: '10\.0\.0\.0/33' is no net"
    ):
        target.allowed_mail_hosts(wrong)
    wrong = config(tmp_path, postal={"allowed_request_destinations": ["10.0.0.0/33"]})
    with pytest.raises(ConfigurationError, match=r"allowed_request_destinations: '10\.0\.0\.0/33' is no net"):
        target.allowed_destinations(wrong)
    right = config(tmp_path, postal={"allowed_request_destinations": ["hooks.internal", "10.0.0.0/8"]})
    assert target.allowed_destinations(right).permits("a.example", "10.1.2.3")
