"""Commands for what people set up: organizations, mail servers, domains, credentials, routes, webhooks."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from postal_server import models
from postal_server.management.commands import domains
from postal_server.services.shared import credential as keys


@pytest.fixture
def run_json(run):
    return lambda *words: json.loads(run(*words, "--json"))


@pytest.fixture
def domain(run, server) -> models.Domain:
    run("domains", "add", "shop.example", "--server", "acme/shop")
    return models.Domain.objects.get()


def refused(run, *words: str) -> str:
    with pytest.raises(CommandError) as caught:
        run(*words)
    return str(caught.value)


class TestOrganizations:
    def test_one_is_made_changed_suspended_and_resumed(self, run, run_json):
        models.IPPool.objects.create(name="main")
        made = run_json("organizations", "add", "Big Company", "--ip-pool", "main")
        assert (made["permalink"], made["time_zone"]) == ("big-company", "UTC")
        assert run_json("organizations", "set", "big-company", "--name", "Bigger")["name"] == "Bigger"
        suspended = run_json("organizations", "suspend", "big-company", "--reason", "unpaid")
        assert suspended["suspended_at"]
        assert suspended["suspension_reason"] == "unpaid"
        assert run_json("organizations", "resume", "big-company")["suspended_at"] is None
        assert [row["permalink"] for row in run_json("organizations", "list")] == ["acme", "big-company"]
        assert "Bigger" in run("organizations", "show", "big-company")

    def test_what_is_wrong_is_named(self, run):
        assert (
            refused(run, "organizations", "show", "nope") == "There is no organization nope. There are: acme."
        )
        assert refused(run, "organizations", "add", "Acme").startswith("--permalink: Organization with this")
        assert refused(run, "organizations", "set", "acme", "--ip-pool", "x") == (
            "--ip-pool: There is no pool x. There are: none."
        )

    def test_deletion_says_what_is_lost_and_wants_the_name(self, run, add, monkeypatch):
        add(), add(held="x")
        err = io.StringIO()
        with pytest.raises(CommandError, match="--confirm acme"):
            call_command("organizations", "delete", "acme", stderr=err, stdout=io.StringIO())
        assert err.getvalue() == (
            "The organization acme has 1 mail server, 2 messages, 1 of them waits, 1 is held."
            " All of it is lost.\n"
        )
        assert "wants its name" in refused(run, "organizations", "delete", "acme", "--confirm", "shop")
        assert run("organizations", "delete", "acme", "--confirm", "acme").startswith(
            "The organization acme is"
        )
        assert run("organizations", "list").count("\n") == 1


class TestServers:
    def test_one_is_made_and_changed(self, run, run_json):
        made = run_json("servers", "add", "acme/news", "--mode", "Development", "--send-limit", "100")
        assert (made["permalink"], made["mode"], made["send_limit"]) == ("news", "Development", 100)
        changed = run_json("servers", "set", "acme/news", "--send-limit", "", "--privacy-mode", "yes")
        assert (changed["send_limit"], changed["privacy_mode"]) == (None, True)
        assert run_json("servers", "suspend", "acme/news")["suspended_at"]
        assert run_json("servers", "resume", "acme/news")["suspended_at"] is None
        assert [row["permalink"] for row in run_json("servers", "list", "--organization", "acme")] == [
            "shop",
            "news",
        ]
        run("servers", "delete", "acme/news", "--confirm", "news")
        assert [row["permalink"] for row in run_json("servers", "list")] == ["shop"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["add", "news"], "'news' is not ORG/SERVER"),
            (["add", "acme/News"], "--permalink: Lower-case letters, digits and hyphens only."),
            (["add", "acme/shop"], "Server with this Organization and Permalink already exists."),
            (["set", "acme/shop", "--mode", "live"], "--mode: Value 'live' is not a valid choice."),
            (["set", "acme/shop", "--send-limit", "x"], "--send-limit: “x” value must be an integer."),
            (["show", "acme/nope"], "There is no mail server acme/nope. There are: acme/shop."),
        ],
    )
    def test_what_is_wrong_is_named(self, run, words, said):
        assert said in refused(run, "servers", *words)


class TestDomains:
    def test_one_is_added_and_says_what_to_publish(self, run, run_json, domain):
        found = run_json("domains", "show", "shop.example")
        assert found["server"] == "acme/shop"
        assert found["dns"]["spf"] == {"status": "unknown", "error": None}
        assert {record["purpose"] for record in found["records"]} >= {"SPF", "DKIM"}
        assert f"postal-{domain.dkim_suffix}._domainkey.shop.example." in run(
            "domains", "records", "shop.example"
        )
        assert "DNS records to publish" in run("domains", "show", "shop.example")

    def test_it_is_looked_up_now(self, run, domain, monkeypatch):
        monkeypatch.setattr(domains, "ask_now", lambda questions: dict.fromkeys(questions, ()))
        assert "Missing" in run("domains", "check", "shop.example")
        assert models.Domain.objects.get().spf_status == "Missing"

    def test_two_owners_may_have_one_of_the_same_name(self, run, run_json, domain):
        run("domains", "add", "shop.example", "--organization", "acme")
        assert "Name one by --server" in refused(run, "domains", "show", "shop.example")
        run("domains", "delete", "shop.example", "--organization", "acme")
        assert run_json("domains", "show", "shop.example")["server"] == "acme/shop"

    def test_what_is_wrong_is_named(self, run, domain):
        assert "--name: Lower-case letters" in refused(run, "domains", "add", "a b", "--server", "acme/shop")
        assert "There is no domain nope.example" in refused(run, "domains", "show", "nope.example")
        assert "already exists" in refused(run, "domains", "add", "shop.example", "--server", "acme/shop")

    def test_it_may_send_for_any_address_if_told_so(self, run_json, domain):
        assert run_json("domains", "set", "shop.example", "--use-for-any", "yes")["use_for_any"]


class TestCredentials:
    def test_a_lost_key_needs_no_browser(self, run, run_json):
        made = run_json("credentials", "add", "--server", "acme/shop", "--type", "API", "--name", "app")
        assert models.Credential.objects.get().key_digest == keys.digest(made["key"])
        renewed = run_json("credentials", "renew", str(made["id"]))
        assert renewed["key"] != made["key"]
        assert models.Credential.objects.get().key_digest == keys.digest(renewed["key"])
        listed = run("credentials", "list")
        assert made["key"] not in listed
        assert renewed["key"] not in listed

    def test_it_is_held_and_deleted(self, run, run_json):
        made = run_json("credentials", "add", "--server", "acme/shop", "--type", "SMTP")
        assert run_json("credentials", "set", str(made["id"]), "--hold", "yes")["hold"]
        assert run("credentials", "delete", str(made["id"])) == "SMTP (SMTP) is deleted.\n"
        assert run_json("credentials", "list", "--server", "acme/shop") == []

    def test_a_network_is_no_key(self, run_json, run):
        words = ("credentials", "add", "--server", "acme/shop", "--type", "SMTP-IP", "--network")
        assert "key" not in run_json(*words, "192.0.2.0/24")
        assert "--network: 'x' is neither" in refused(run, *words, "x")
        assert "There is no credential 99" in refused(run, "credentials", "renew", "99")


class TestRoutes:
    @pytest.mark.parametrize(
        ("to", "endpoint"),
        [
            ("https://user:secret@app.example/in", {"type": "http", "url": "https://***@app.example/in"}),
            ("smtp://mx.app.example:2525", {"type": "smtp", "hostname": "mx.app.example", "port": 2525}),
            ("smtps://mx.app.example", {"type": "smtp", "port": None, "ssl_mode": "TLS"}),
            ("team@app.example", {"type": "address", "address": "team@app.example"}),
        ],
    )
    def test_mail_goes_where_it_is_told(self, run, run_json, domain, to, endpoint):
        made = run_json("routes", "add", "Reply@Shop.example", "--server", "acme/shop", "--to", to)
        assert (made["address"], made["mode"]) == ("reply@shop.example", "Endpoint")
        assert endpoint.items() <= made["endpoint"].items()
        assert "secret" not in run("routes", "list")

    def test_it_is_changed_and_deleted(self, run, run_json, domain):
        number = str(
            run_json("routes", "add", "*@shop.example", "--server", "acme/shop", "--mode", "Hold")["id"]
        )
        changed = run_json("routes", "set", number, "--to", "https://app.example", "--timeout", "30")
        assert changed["endpoint"]["timeout"] == 30
        assert run_json("routes", "set", number, "--mode", "Reject")["endpoint"] is None
        assert run("routes", "delete", number) == "The route *@shop.example is deleted.\n"
        assert run_json("routes", "list", "--server", "acme/shop") == []

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (
                ["in@other.example", "--mode", "Hold"],
                "acme/shop has no domain other.example. It has: shop.example",
            ),
            (["in@shop.example"], "Say where its mail goes"),
            (["in@shop.example", "--mode", "Hold", "--to", "a@b.example"], "Give --to or --mode"),
            (["in@shop.example", "--to", "ftp://x"], "--url: "),
            (["in@shop.example", "--to", "no address"], "--address: Enter a valid email address."),
            (["in@shop.example", "--to", "https://a.example", "--timeout", "1"], "--timeout: "),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_left(self, run, domain, words, said):
        assert said in refused(run, "routes", "add", *words, "--server", "acme/shop")
        assert not models.Route.objects.exists()
        assert not models.HTTPEndpoint.objects.exists()


class TestWebhooks:
    def test_one_is_added_changed_and_deleted(self, run, run_json):
        url = "https://user:secret@app.example/tracking"
        made = run_json("webhooks", "add", url, "--server", "acme/shop")
        assert (made["all_events"], made["url"], made["name"]) == (
            True,
            *["https://***@app.example/tracking"] * 2,
        )
        number = str(made["id"])
        run("webhooks", "set", number, "--event", "MessageSent", "--event", "MessageBounced", "--name", "app")
        [listed] = run_json("webhooks", "list", "--server", "acme/shop")
        assert (listed["all_events"], listed["events"]) == (False, ["MessageSent", "MessageBounced"])
        assert listed["name"] == "app"
        assert models.Webhook.objects.get().url == url
        assert run("webhooks", "delete", number) == "1 webhook is deleted.\n"
        assert run_json("webhooks", "list") == []

    def test_what_is_wrong_is_named(self, run):
        words = ("webhooks", "add", "--server", "acme/shop")
        assert refused(run, *words, "htp:/foo").startswith("--url: http:// or https://, letters")
        assert "There is no event Sent" in refused(run, *words, "https://a.example", "--event", "Sent")


def test_who_runs_a_command_is_written_down(run):
    run("servers", "set", "acme/shop", "--mode", "Development")
    entry = models.AuditEntry.objects.get()
    assert entry.actor.endswith(" on the command line")
    assert (entry.before, entry.after) == ({"mode": "Live"}, {"mode": "Development"})
