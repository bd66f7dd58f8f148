import base64
import email
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from postal_server.mail.message import header_values
from postal_server.models import AddressEndpoint, Delivery, HTTPEndpoint, Message, Route, Server, SMTPEndpoint
from postal_server.rules import hold, outcome
from postal_server.rules.status import DeliveryStatus, Scope
from postal_server.services.preparation import inspection, messages
from postal_server.services.results import record
from postal_server.services.results.bounce import Bounced
from postal_server.services.shared import token
from postal_server.services.shared.work import (
    Changes,
    Decision,
    Dsn,
    HttpDelivery,
    Inspection,
    Prepared,
    Result,
    SmtpDelivery,
    Target,
)
from tests.postal_server.services.conftest import NOW, store
from tests.postal_server.services.reports import path_of, status_report

RAW = (
    b"Received: from remote.example (127.0.0.1 [127.0.0.1]) by mx.postal.example.test with SMTP; now\r\n"
    b"From: Ann <ann@remote.example>\r\nTo: in@example.test\r\nSubject: Hi\r\n"
    b"Message-ID: <m@remote.example>\r\n\r\nHello\r\n"
)
NOT_SPAM = (
    b"X-Postal-Spam: no\r\nX-Postal-Spam-Threshold: 5.0\r\nX-Postal-Spam-Score: 0\r\nX-Postal-Threat: no\r\n"
)


@pytest.fixture
def prepare(world, config):
    def call(*claims, config=config):
        return messages.prepare(claims, world.directory(), config, NOW)

    return call


@pytest.fixture
def come_in(world):
    """Store mail for a route's endpoint, as reception does."""

    def call(route, rcpt_to="in@example.test", **values):
        endpoint = route and (route.http_endpoint or route.smtp_endpoint or route.address_endpoint)
        values = {
            "raw": RAW,
            "mail_from": "ann@remote.example",
            "message_id": "m@remote.example",
            "scope": Scope.INCOMING,
            "route_id": route and route.pk,
            "endpoint_type": type(endpoint).__name__ if endpoint else "",
            "endpoint_id": endpoint.pk if endpoint else None,
            **values,
        }
        [claim] = store(world, rcpt_to, **values)
        return claim

    return call


@pytest.fixture
def make_route(world):
    def call(name="in", **values):
        return Route.objects.create(server=world.server, domain=world.domain, name=name, **values)

    return call


@pytest.fixture
def http(world, make_route):
    endpoint = HTTPEndpoint.objects.create(
        server=world.server, name="in", url="http://h.example/in", timeout=7
    )
    return make_route(http_endpoint=endpoint)


def decided(item):
    assert isinstance(item, Decision)
    assert item.hold_reason is (hold.reason_of(item.details) if item.status is DeliveryStatus.HELD else None)
    return item.status, item.details


class TestPost:
    def test_the_parsed_mail_is_posted_signed(self, world, prepare, come_in, http):
        claim = come_in(http, "in+tag@example.test")
        [prepared] = prepare(claim)
        post = prepared.delivery
        assert isinstance(post, HttpDelivery)
        assert (post.url, post.timeout) == ("http://h.example/in", 7.0)
        assert dict(post.headers)["Content-Type"] == "application/json"
        assert "X-Postal-Signature-256" in dict(post.headers)
        payload = json.loads(post.body)
        assert (payload["id"], payload["rcpt_to"], payload["plain_body"]) == (
            claim.id,
            "in+tag@example.test",
            "Hello\n",
        )
        assert (payload["token"], payload["spam_status"]) == (token.message_token(claim.id), "NotSpam")
        assert payload["size"] == str(len(RAW))
        assert "replies_from_plain_body" not in payload

    def test_the_raw_mail_has_the_inspections_headers_on_top(self, world, prepare, come_in, http):
        HTTPEndpoint.objects.update(format="RawMessage")
        [prepared] = prepare(come_in(http))
        post = prepared.delivery
        assert base64.b64decode(json.loads(post.body)["message"]) == NOT_SPAM + RAW
        assert prepared.changes.prefix == NOT_SPAM
        assert prepared.changes.inspection == Inspection()

    def test_options_of_the_endpoint_are_kept(self, world, prepare, come_in, http):
        HTTPEndpoint.objects.update(encoding="FormData", strip_replies=True, include_attachments=False)
        [prepared] = prepare(come_in(http))
        post = prepared.delivery
        assert dict(post.headers)["Content-Type"] == "application/x-www-form-urlencoded"
        assert post.body.endswith(b"&plain_body=Hello&replies_from_plain_body&stream")

    def test_a_retry_posts_the_same_bytes(self, world, prepare, come_in, http, config):
        claim = come_in(http)
        [prepared] = prepare(claim)
        post = prepared.delivery
        failed = outcome.outcome_of_response(503, "", url=post.url, seconds=0.1)
        record.record([Result(claim, failed, prepared.changes)], world.directory(), config, NOW)
        later = messages.prepare(
            [replace(claim, attempts=1)], world.directory(), config, NOW + timedelta(minutes=5)
        )
        assert (later[0].delivery.body, later[0].delivery.headers) == (post.body, post.headers)
        assert later[0].changes is None
        assert Message.objects.get().size_bytes == len(RAW)

    def test_8_bit_text_without_a_charset_is_posted_as_text(self, world, prepare, come_in, http):
        raw = RAW.replace(b"Hello", b"Gr\xfc\xdfe").replace(b"To:", b"Cc: \xfc <c@d.example>\r\nTo:")
        [prepared] = prepare(come_in(http, raw=raw))
        post = prepared.delivery
        posted = json.loads(post.body)
        assert posted["plain_body"].strip() == "Grüße"
        assert posted["cc"] == '"ü" <c@d.example>'


class TestForward:
    def test_an_smtp_endpoint_gets_the_recipient_unchanged(self, world, prepare, come_in, make_route):
        endpoint = SMTPEndpoint.objects.create(
            server=world.server, name="s", hostname="mx.dest.example", ssl_mode="None"
        )
        claim = come_in(make_route(smtp_endpoint=endpoint))
        [prepared] = prepare(claim)
        mail = prepared.delivery
        assert isinstance(mail, SmtpDelivery)
        assert (mail.recipient, mail.target) == (
            "in@example.test",
            Target("example.test", "mx.dest.example", None, "None"),
        )
        assert mail.reverse_path == f"bounces+s8halm-{token.message_token(claim.id)}@rp.postal.example.test"
        assert mail.data == f"Resent-Sender: {mail.reverse_path}\r\n".encode() + NOT_SPAM + RAW

    def test_an_address_endpoint_is_the_recipient(self, world, prepare, come_in, make_route):
        endpoint = AddressEndpoint.objects.create(server=world.server, address="f@elsewhere.example")
        claim = come_in(make_route(address_endpoint=endpoint))
        [prepared] = prepare(claim)
        mail = prepared.delivery
        assert (mail.recipient, mail.target) == ("f@elsewhere.example", Target("elsewhere.example"))
        assert mail.dsn == Dsn("FAILURE", token.message_token(claim.id), "in@example.test")
        assert not header_values(mail.data, "DKIM-Signature")
        assert not header_values(mail.data, "X-Postal-MsgID")

    @pytest.mark.parametrize(
        ("text", "is_changed"),
        [(b"\xc3\xbc", False), (b"y " * 600, True)],
        ids=["8-bit text", "a line over 998 octets"],
    )
    def test_only_what_no_host_takes_is_changed(self, world, prepare, come_in, make_route, text, is_changed):
        endpoint = AddressEndpoint.objects.create(server=world.server, address="f@elsewhere.example")
        raw = b"Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text + b"\r\n"
        [prepared] = prepare(come_in(make_route(address_endpoint=endpoint), raw=raw))
        mail = prepared.delivery
        assert mail.data.endswith(raw) is not is_changed
        assert max(map(len, mail.data.split(b"\r\n"))) <= 998
        assert email.message_from_bytes(mail.data).get_payload(decode=True) == text + b"\r\n"

    def test_bounces_are_forwarded_with_a_null_reverse_path(self, world, prepare, come_in, make_route):
        endpoint = AddressEndpoint.objects.create(server=world.server, address="f@elsewhere.example")
        route = make_route(address_endpoint=endpoint)
        [prepared] = prepare(come_in(route, is_bounce=True))
        mail = prepared.delivery
        assert mail.reverse_path is None


class TestDecide:
    @pytest.mark.parametrize(
        ("mode", "is_manual", "status", "details"),
        [
            ("Accept", False, "Processed", "Message has been accepted but not sent to any endpoints."),
            ("Hold", False, "Held", "Message has been accepted but not sent to any endpoints."),
            ("Hold", True, "Processed", "Message has been processed."),
            ("Bounce", False, "HardFail", "Message has been bounced because the route asks for this."),
            ("Reject", False, "HardFail", "Message has been bounced because the route asks for this."),
        ],
    )
    def test_by_the_mode_of_the_route(
        self, world, prepare, come_in, make_route, mode, is_manual, status, details
    ):
        [item] = prepare(come_in(make_route(mode=mode), is_manual=is_manual))
        assert decided(item) == (DeliveryStatus(status), details)
        assert item.changes.prefix == NOT_SPAM

    @pytest.mark.parametrize("mail_from", ["ann@remote.example", None])
    def test_a_bounce_route_names_the_notice_and_is_finished_for_null_senders(
        self, world, prepare, come_in, make_route, config, mail_from
    ):
        claim = come_in(make_route(mode="Bounce"), mail_from=mail_from)
        assert record.record(prepare(claim), world.directory(), config, NOW).finished == [claim.id]
        notice = Message.objects.filter(is_bounce=True).first()
        details = "Message has been bounced because the route asks for this."
        assert (notice is None) is (mail_from is None)
        assert Delivery.objects.get().details == details + (
            f" See message <msg:{notice.id}>" if notice else ""
        )

    @pytest.mark.parametrize("mode", ["Live", "Development"])
    def test_a_suspended_server_holds(self, world, prepare, come_in, http, mode):
        Server.objects.update(suspended_at=NOW, mode=mode)
        status, details = decided(*prepare(come_in(http, is_manual=True)))
        assert status is DeliveryStatus.HELD
        assert details.startswith("Mail server has been suspended.")

    def test_development_mode_holds(self, world, prepare, come_in, http):
        Server.objects.update(mode="Development")
        assert decided(*prepare(come_in(http))) == (DeliveryStatus.HELD, "Server is in development mode.")
        assert isinstance(*prepare(come_in(http, is_manual=True)), Prepared)

    def test_used_up_attempts_fail_and_tell_the_sender(self, world, prepare, come_in, http, config):
        claim = come_in(http, attempts=18)
        record.record(prepare(claim), world.directory(), config, NOW)
        notice = Message.objects.get(is_bounce=True)
        assert Delivery.objects.get().details == (
            "Maximum number of delivery attempts (18) has been reached. "
            f"Bounce sent to sender (see message <msg:{notice.id}>)"
        )

    def test_a_purged_text_fails(self, world, prepare, come_in, http):
        claim = come_in(http)
        Message.objects.update(body_id=None)
        assert decided(*prepare(claim)) == (
            DeliveryStatus.FAILED,
            "Raw message has been removed. Cannot send message.",
        )

    def test_without_a_route_or_endpoint_it_fails(self, world, prepare, come_in, http):
        claim = come_in(http)
        HTTPEndpoint.objects.all().delete()
        assert decided(*prepare(claim)) == (
            DeliveryStatus.FAILED,
            "Message has been bounced because the route asks for this.",  # its route rejects now
        )
        Route.objects.all().delete()
        assert decided(*prepare(claim)) == (
            DeliveryStatus.FAILED,
            "Message does not have a route and/or endpoint available for delivery.",
        )

    def test_an_additional_endpoint_that_was_deleted_fails(self, world, prepare, come_in, http):
        claim = come_in(http, endpoint_type="SMTPEndpoint", endpoint_id=99)
        assert decided(*prepare(claim)) == (DeliveryStatus.FAILED, "Invalid endpoint for route.")

    def test_postmaster_mail_without_a_route_waits_for_a_person(self, world, prepare, come_in):
        [item] = prepare(come_in(None, "Postmaster@example.test"))
        assert item.status is DeliveryStatus.HELD


class TestSpam:
    @pytest.fixture(autouse=True)
    def _score(self, monkeypatch):
        self.score = 6.5
        monkeypatch.setattr(
            inspection,
            "inspect",
            lambda raw, message, config: Inspection(self.score, is_threat=True, threat_details="EICAR"),
        )

    def test_marked_mail_goes_on(self, world, prepare, come_in, http):
        [prepared] = prepare(come_in(http))
        post = prepared.delivery
        assert json.loads(post.body)["spam_status"] == "Spam"
        assert prepared.changes.prefix == (
            b"X-Postal-Spam: yes\r\nX-Postal-Spam-Threshold: 5.0\r\n"
            b"X-Postal-Spam-Score: 6.5\r\nX-Postal-Threat: yes\r\n"
        )

    @pytest.mark.parametrize(
        ("mode", "status", "details"),
        [
            ("Quarantine", "Held", "Message placed into quarantine."),
            ("Fail", "HardFail", "Message is spam and the route specifies it should be failed."),
        ],
    )
    def test_the_route_decides_unless_a_person_did(
        self, world, prepare, come_in, http, mode, status, details
    ):
        Route.objects.update(spam_mode=mode)
        [item] = prepare(come_in(http))
        assert decided(item) == (DeliveryStatus(status), details)
        assert item.effects == ()
        assert isinstance(*prepare(come_in(http, is_manual=True)), Prepared)

    @pytest.mark.parametrize("is_manual", [False, True])
    def test_from_the_failure_threshold_on_it_fails(self, world, prepare, come_in, http, is_manual):
        self.score = 20.0
        assert decided(*prepare(come_in(http, is_manual=is_manual))) == (
            DeliveryStatus.FAILED,
            "Message's spam score is higher than the failure threshold for this server. "
            "Threshold is currently 20.0.",
        )

    def test_the_threshold_itself_is_not_spam(self, world, prepare, come_in, http):
        self.score = 5.0
        assert not prepare(come_in(http))[0].changes.inspection.is_spam


class TestReports:
    def test_a_matched_report_is_processed_without_inspection(self, world, prepare, come_in, http):
        [original] = store(world)
        report = come_in(None, path_of(original.id), is_bounce=True, mail_from=None, raw=status_report())
        [item] = prepare(report)
        assert decided(item) == (
            DeliveryStatus.PROCESSED,
            f"This has been detected as a bounce message for <msg:{original.id}>.",
        )
        assert item.changes == Changes(kind="bounce", bounce_for_id=original.id)

    def test_that_of_a_suspended_server_is_processed_too(self, world, prepare, come_in):
        [original] = store(world)
        path = path_of(original.id).replace("@rp.postal.example.test", "@psrp.example.test")
        Server.objects.update(suspended_at=NOW)
        [item] = prepare(come_in(None, path, is_bounce=True, mail_from=None, raw=status_report()))
        assert (item.status, type(item.effects[0])) == (DeliveryStatus.PROCESSED, Bounced)

    def test_an_unmatched_report_is_kept_without_a_notice(self, world, prepare, come_in):
        [item] = prepare(come_in(None, "s8halm@rp.postal.example.test", is_bounce=True))
        assert decided(item) == (
            DeliveryStatus.PROCESSED,
            "Kept: no outgoing message could be found for it.",
        )
        assert item.changes == Changes(kind="reply")

    def test_a_report_without_its_text_fails(self, world, prepare, come_in):
        report = come_in(None, "s8halm@rp.postal.example.test", is_bounce=True)
        Message.objects.update(body_id=None)
        [item] = prepare(report)
        assert (item.status, item.changes) == (DeliveryStatus.FAILED, None)

    def test_one_that_is_forwarded_asks_for_none_about_itself(self, world, prepare, come_in, make_route):
        endpoint = AddressEndpoint.objects.create(server=world.server, address="f@elsewhere.example")
        route = make_route(address_endpoint=endpoint)
        Route.objects.update(name="__returnpath__", domain=None)
        [prepared] = prepare(come_in(route, "s8halm@rp.postal.example.test", is_bounce=True))
        assert (prepared.delivery.reverse_path, prepared.delivery.dsn) == (None, Dsn("NEVER"))

    def test_an_unmatched_report_goes_to_the_return_path_route(self, world, prepare, come_in, http):
        Route.objects.update(name="__returnpath__", domain=None)
        [prepared] = prepare(come_in(http, "s8halm@rp.postal.example.test", is_bounce=True))
        post = prepared.delivery
        assert json.loads(post.body)["bounce"] is True
        assert (prepared.changes.kind, prepared.changes.bounce_for_id) == ("reply", None)


@pytest.mark.parametrize("count", [1, 15])
def test_a_batch_takes_two_queries(world, config, come_in, http, count, django_assert_num_queries):
    claims = [come_in(http) for _ in range(count)]
    directory = world.directory()
    with django_assert_num_queries(2):
        messages.prepare(claims, directory, config, NOW)
