"""The DNS records to publish, as a name server would read them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import dns.zone
import pytest

from postal_server import conf
from postal_server.installation import records
from postal_server.mail import dkim
from postal_server.models import TrackDomain
from postal_server.services.operations import domain_checks, provisioning

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
HOSTS = {"web_hostname": "postal.example.com", "smtp_hostname": "mx.postal.example.com"}
DNS = {
    "return_path_domain": "rp.postal.example.com",
    "route_domain": "routes.postal.example.com",
    "track_domain": "track.postal.example.com",
    "spf_include": "spf.postal.example.com",
    "mx_records": ["mx.postal.example.com"],
}


@pytest.fixture
def config(tmp_path, monkeypatch, recorded_key):
    monkeypatch.setattr(dkim, "generate_rsa", lambda bits=2048: recorded_key)
    (tmp_path / "signing.key").write_text(recorded_key)
    config = conf.parse({"postal": HOSTS, "dns": DNS, "delivery": {"mode": "mx"}}, {}, tmp_path)
    monkeypatch.setattr(conf, "config", lambda: config)
    return config


@pytest.fixture
def domain(config):
    server = provisioning.add_server(provisioning.organization("Example"), "Main").server
    return provisioning.add_domain(server, "example.com", NOW)


def zone(config, *domains, addresses=("203.0.114.7", "2a00::7")):
    return "\n".join(records.zone(config, domains, addresses))


def published(text):
    """All records of the text, as DNS would have them: name, type, value."""
    origin = dns.name.from_text("example.com.")
    read = dns.zone.from_text(f"$TTL 3600\n{text}\n", origin, relativize=False, check_origin=False)
    return {
        (str(name).rstrip("."), dns.rdatatype.to_text(data.rdtype), _value(data))
        for name, _, data in read.iterate_rdatas()
    }


def _value(data):
    if data.rdtype == dns.rdatatype.TXT:
        return b"".join(data.strings).decode()
    return str(data)


def test_all_records_of_the_installation(config, recorded_key):
    key = dkim.public_record(dkim.SigningKey.load(recorded_key))
    spf = "v=spf1 a mx include:spf.postal.example.com ~all"
    hosts = ("postal", "mx.postal", "track.postal")
    assert published(zone(config)) == {
        *((f"{host}.example.com", "A", "203.0.114.7") for host in hosts),
        *((f"{host}.example.com", "AAAA", "2a00::7") for host in hosts),
        ("spf.postal.example.com", "TXT", "v=spf1 ip4:203.0.114.7 ip6:2a00::7 ~all"),
        ("rp.postal.example.com", "MX", "10 mx.postal.example.com."),
        ("rp.postal.example.com", "TXT", spf),
        ("postal._domainkey.rp.postal.example.com", "TXT", key),
        ("routes.postal.example.com", "MX", "10 mx.postal.example.com."),
    }
    assert "(PTR) of each address, which its provider sets: mx.postal.example.com." in zone(config)


def test_all_records_of_a_domain_are_those_that_the_check_looks_for(config, domain):
    found = published(zone(config, domain)) - published(zone(config))
    wanted = {
        (record.name, record.kind, f"{record.value}." if record.kind == "CNAME" else record.value)
        for record in domain_checks.records_to_publish(domain, config)
        if record.kind != "MX"
    }
    policy = ("_dmarc.example.com", "TXT", "v=DMARC1; p=none; rua=mailto:postmaster@example.com")
    assert found == wanted | {policy}


def test_a_domain_that_receives_elsewhere_keeps_its_mx_records(config, domain):
    mx = ("example.com", "MX", "10 mx.postal.example.com.")
    assert mx not in published(zone(config, domain))
    assert "; Only if example.com shall receive mail here:" in zone(config, domain)
    provisioning.add_http_route(domain.server, domain, "reply", "https://www.example.com/")
    assert mx in published(zone(config, domain))


def test_a_second_spf_record_is_warned_of_where_the_first_is_printed(config, domain):
    """RFC 7208 section 3.2: a name with two has none that counts."""
    lines = zone(config, domain).splitlines()
    [at] = [number for number, line in enumerate(lines) if re.match(r'example\.com\. .*"v=spf1 ', line)]
    assert "add `include:spf.postal.example.com` to that one instead:" in lines[at - 2]
    assert "two of them are a permanent error" in lines[at - 1]
    assert "already" not in zone(config)


def test_a_tracking_domain_is_a_record_once_there_is_one(config, domain):
    assert "; click.example.com." in zone(config, domain)
    TrackDomain.objects.create(server=domain.server, domain=domain, name="links")
    record = ("links.example.com", "CNAME", "track.postal.example.com.")
    assert record in published(zone(config, domain))


def test_without_a_public_address_its_records_are_left_to_a_person(config):
    text = zone(config, addresses=())
    assert "; postal.example.com." in text
    assert not {kind for _, kind, _ in published(text)} & {"A", "AAAA"}


def test_long_texts_are_split_into_strings():
    long = "v=DKIM1; p=" + "A" * 400
    parts = records.text_value(long).split('" "')
    assert [len(part.strip('"')) for part in parts] == [255, 156]
