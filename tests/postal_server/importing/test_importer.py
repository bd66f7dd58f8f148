"""Taking over a Postal installation, tried on dumps of a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from postal_server.errors import HostileInput
from postal_server.importing import importer
from postal_server.importing.mariadb_dump import Dump
from postal_server.models import (
    Credential,
    Domain,
    ImportedToken,
    IPAddress,
    IPPoolRule,
    Link,
    Message,
    Organization,
    Route,
    Server,
    Suppression,
    TrackDomain,
    Webhook,
)
from postal_server.services.shared.loader import load
from postal_server.services.shared.sequence import allocate_ids
from tests.each import each

pytestmark = pytest.mark.django_db
VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "database"


class Rows:
    def __init__(self, *rows):
        self._rows = rows

    def rows(self, tables):
        return [(table, row) for table, row in self._rows if table in tables]


MAIN = Dump(VECTORS / "postal.sql.gz")
SUPPRESSIONS = Dump(VECTORS / "postal-server-1-suppressions.sql.gz")


def run(of_servers=None, *, main=MAIN, dry_run=False, allowed=True):
    return importer.run(
        main,
        of_servers or {},
        is_allowed_host=lambda host: allowed,
        progress=lambda what, count: None,
        dry_run=dry_run,
    )


def message(number, token, **values):
    return {
        "id": number,
        "token": token,
        "scope": "outgoing",
        "rcpt_to": "ann@dest.example",
        "mail_from": "app@example.test",
        "subject": "Hello",
        "message_id": "a@b",
        "timestamp": 1795373897.169618,
        "tag": None,
        "status": "Sent",
        "size": "120",
        "bounce": 0,
        "bounce_for_id": 0,
        "inspected": 0,
        "spam": 0,
        "spam_score": None,
        **values,
    }


def link(number, token, message_id):
    return {
        "id": number,
        "token": token,
        "message_id": message_id,
        "url": "https://example.com/a",
        "hash": "x",
        "timestamp": 1795373897.1,
    }


def test_recorded_installation_is_taken_over():
    report = run({1: SUPPRESSIONS})
    assert Organization.objects.get().permalink == "example"
    live = Server.objects.get(permalink="live")
    assert (live.token, live.mode, live.log_smtp_data) == ("s8halm", "Live", True)
    assert Server.objects.get(permalink="suspended").suspension_reason == "Unpaid"
    assert Domain.objects.get(name="organisation.test").organization is not None
    assert Route.objects.get(token="PFidnp7X").http_endpoint.name == "in"
    assert Route.objects.get(name="fwd").address_endpoint.address == "forwarded@elsewhere.example"
    assert TrackDomain.objects.get().full_name == "click.tracked.test"
    assert Webhook.objects.filter(all_events=True).count() == 2
    row = Suppression.objects.get()
    assert (row.reason, row.text) == ("bad_address", "too many hard fails")
    assert report.made["server"] == Server.objects.count()
    assert [p.split(":")[0] for p in report.problems] == ["users"]


def test_keys_work_after_the_import():
    run()
    known = load()
    found = known.api_credential("Ehzp85xLpkBGWsQ5WJhPxJO3")
    assert found is not None
    assert known.servers[found.server_id].permalink == "live"
    assert known.smtp_credential("K70gy3gHQZaFB9vMhiHcbnpN") is not None
    assert not Credential.objects.filter(key_digest__contains="Ehzp85x").exists()


def test_import_can_be_repeated():
    run({1: SUPPRESSIONS})
    counts = [model.objects.count() for model in (Server, Credential, Domain, Route, Webhook, Suppression)]
    again = run({1: SUPPRESSIONS})
    assert not +again.made
    assert counts == [
        model.objects.count() for model in (Server, Credential, Domain, Route, Webhook, Suppression)
    ]


def test_dry_run_changes_nothing_and_counts_everything():
    report = run({1: SUPPRESSIONS}, dry_run=True)
    assert report.made["server"] > 3
    assert not Organization.objects.exists()


def test_private_endpoints_are_named_unless_allowed():
    problems = run(allowed=False).problems
    assert any(p.startswith("webhook all: 127.0.0.1 would be refused") for p in problems)
    assert not Webhook.objects.filter(beyond_postal=True).exists()
    assert any(p.startswith("HTTP endpoint in: 127.0.0.1") for p in problems)


def test_messages_and_links_keep_their_tokens_and_new_ids_start_above():
    source = Rows(
        ("links", link(1, "LinkTokenAAAAAAA", 41)),
        ("messages", message(41, "MessageTokenAAAA")),
        ("messages", message(900, "MessageTokenBBBB", size=None)),
    )
    run({1: source})
    assert ImportedToken.objects.get(token="MessageTokenAAAA").message_id == 41
    assert Message.objects.get(pk=41).body_id is None
    assert Link.objects.get(imported_token="LinkTokenAAAAAAA").message_id == 41
    assert allocate_ids(1)[0] > 900


def test_held_messages_keep_their_reason():
    def held(message_id, details, status="Held"):
        return "deliveries", {"message_id": message_id, "status": status, "details": details}

    run(
        {
            1: Rows(
                held(41, "Server is in development mode."),
                held(41, "Message held because send limit (10) has been reached."),
                held(42, "Server is in development mode."),
                held(43, "Server is in development mode.", status="SoftFail"),
                held(44, "Something else."),
                held(99, "Message placed into quarantine."),
                *(("messages", message(n, f"MessageTokenAA{n}", status="Held")) for n in (41, 43, 44)),
                ("messages", message(42, "MessageTokenAA42", status="Sent")),
            )
        }
    )
    assert dict(Message.objects.values_list("pk", "hold_reason")) == {
        41: "send_limit",
        42: "",
        43: "",
        44: "",
    }


def test_two_servers_with_the_same_ids_the_second_gets_new_ones_and_it_is_said():
    first = Rows(("messages", message(41, "MessageTokenAAAA")))
    second = Rows(("messages", message(41, "MessageTokenCCCC")), ("links", link(1, "LinkTokenCCCCCCC", 41)))
    report = run({1: first, 2: second})
    moved = ImportedToken.objects.get(token="MessageTokenCCCC").message_id
    assert moved > 41
    assert Link.objects.get().message_id == moved
    assert any("1 messages of server" in problem for problem in report.problems)
    assert not +run({1: first, 2: second}).made


def test_row_without_its_owner_is_left_out_and_said():
    rows = MAIN.rows(("organizations", "servers", "credentials"))
    orphan = [(t, {**r, "server_id": 99} if t == "credentials" else r) for t, r in rows]
    report = run(main=Rows(*orphan))
    assert not Credential.objects.exists()
    assert "credential api: its server 99 is not in the import; left out." in report.problems


def test_organization_that_is_here_already_is_the_same_one_and_it_is_said():
    here = Organization.objects.create(name="Mine", permalink="example")
    report = run()
    assert Organization.objects.get().pk == here.pk
    assert Server.objects.filter(organization=here).exists()
    assert any("there was one with its permalink already" in problem for problem in report.problems)
    assert not +run().made


def test_row_that_clashes_with_another_is_left_out_and_said():
    owner = Organization.objects.create(name="Mine", permalink="mine")
    Server.objects.create(organization=owner, name="Mine", permalink="mine", token="s8halm")
    problems = run().problems
    assert "server Live: there is another one like it here; left out." in problems
    assert not Server.objects.filter(permalink="live").exists()


class TestIPPools:
    POOLS = (
        ("ip_pools", {"id": 4, "uuid": "6a1b7ad1-0c4d-4a0e-9c34-4f0e1fdcb001", "name": "news", "default": 1}),
        (
            "ip_addresses",
            {
                "id": 5,
                "ip_pool_id": 4,
                "ipv4": "192.0.2.7",
                "ipv6": "2001:DB8::7",
                "hostname": "o.example",
                "priority": 30,
            },
        ),
        ("organization_ip_pools", {"id": 1, "organization_id": 1, "ip_pool_id": 4}),
        (
            "ip_pool_rules",
            {
                "id": 6,
                "uuid": "6a1b7ad1-0c4d-4a0e-9c34-4f0e1fdcb002",
                "owner_type": "Server",
                "owner_id": 1,
                "ip_pool_id": 4,
                "from_text": "news.example.test",
                "to_text": None,
            },
        ),
    )  # fmt: skip

    class Both:
        """A dump, with more rows than it has; those of one table may be changed."""

        def __init__(self, *more, **changes):
            self.more, self.changes = Rows(*more), changes

        def rows(self, tables):
            for table, row in MAIN.rows(tables):
                yield table, {**row, **self.changes.get(table, {})}
            yield from self.more.rows(tables)

    def test_pools_addresses_and_rules_are_taken_over(self):
        for _ in range(2):  # and may be again
            report = run(main=self.Both(*self.POOLS, servers={"ip_pool_id": 4}))
        [address] = IPAddress.objects.all()
        assert (address.ipv4, address.ipv6, address.hostname) == ("192.0.2.7", "2001:db8::7", "o.example")
        assert (address.priority, address.ip_pool.name, address.ip_pool.default) == (30, "news", True)
        assert Organization.objects.get().ip_pools.get() == address.ip_pool
        assert Server.objects.get(permalink="live").ip_pool == address.ip_pool
        rule = IPPoolRule.objects.get()
        assert (rule.server.permalink, rule.organization, rule.from_text) == (
            "live",
            None,
            "news.example.test",
        )
        assert [p.split(":")[0] for p in report.problems] == ["users"]

    @each(
        "changes, problem",
        [
            ({"ipv4": "nonsense"}, "IP address nonsense: not an address; left out."),
            ({"ipv6": "x"}, "IP address 192.0.2.7: not an address; left out."),
            ({"ip_pool_id": 9}, "IP address 192.0.2.7: its IP pool 9 is not in the import; left out."),
        ],
    )
    def test_an_address_that_cannot_be_used_is_named(self, changes, problem):
        pool, (table, address) = self.POOLS[:2]
        report = run(main=self.Both(pool, (table, {**address, **changes})))
        assert problem in report.problems
        assert not IPAddress.objects.exists()


def without_new_columns(rows):
    """As dumped from a Postal of 2019, whose servers had fewer options."""
    later = {"privacy_mode", "log_smtp_data", "allow_sender", "domains_not_to_click_track"}
    return [(table, {k: v for k, v in row.items() if k not in later}) for table, row in rows]


def test_columns_that_an_old_postal_lacked_are_left_at_their_defaults():
    rows = without_new_columns(MAIN.rows(["organizations", "servers"]))
    assert run(main=Rows(*rows)).made["server"] == 6
    assert not Server.objects.filter(privacy_mode=True).exists()


def test_row_that_is_none_of_postals_ends_the_import_with_its_name():
    with pytest.raises(HostileInput, match="organizations: row 7 cannot be read"):
        run(main=Rows(("organizations", {"id": 7, "uuid": "u", "name": "a", "permalink": ["b"]})))
    assert not Organization.objects.exists()
