import email
import email.policy
from dataclasses import replace
from datetime import timedelta

import pytest

from postal_server.mail.smtp_reply import Reply
from postal_server.models import (
    Body,
    Counter,
    Delivery,
    FailureEvidence,
    Message,
    QueuedMessage,
    Route,
    Server,
)
from postal_server.rules import outcome
from postal_server.rules.status import Scope
from postal_server.services.preparation import messages
from postal_server.services.results import failure_notice, notice_limit
from postal_server.services.results import record as results
from postal_server.services.shared.token import message_token
from postal_server.services.shared.work import Claimed, Result, SmtpDelivery
from tests.each import each
from tests.postal_server.services.conftest import NOW, sent, store

from .conftest import events

RAW = b"From: Ann <ann@remote.example>\r\nSubject: Hi\r\n\r\nHello\r\n"


@pytest.fixture
def failed(world):
    """An incoming message for a route of the domain."""
    route = Route.objects.create(server=world.server, domain=world.domain, name="in", mode="Bounce")
    [claim] = store(
        world,
        "in+tag@example.test",
        raw=RAW,
        mail_from="ann@remote.example",
        scope=Scope.INCOMING,
        route_id=route.pk,
        message_id="m@remote.example",
    )
    Message.objects.update(prefix=b"X-Postal-Spam: no\r\n")
    return Message.objects.get(pk=claim.id)


@pytest.fixture
def send(world, config):
    def call(message, at=NOW):
        return failure_notice.send(
            [message], {message.id: "Received a 404"}, world.directory(), config, at
        ).ids

    return call


def test_it_is_a_report_that_programs_and_people_understand(world, failed, send):
    [number] = send(failed).values()
    sent = email.message_from_bytes(bytes(Body.objects.get(pk=number).raw), policy=email.policy.default)
    assert (sent["From"], sent["To"]) == ("Mail Delivery Service <in@example.test>", "ann@remote.example")
    assert sent["Subject"] == "Mail Delivery Failed (Hi)"
    assert sent["Message-ID"].endswith("@rp.postal.example.test>")
    assert (sent.get_content_type(), sent.get_param("report-type")) == ("multipart/report", "delivery-status")
    text, status, original = sent.iter_parts()
    assert f"Message Token: {message_token(failed.id)}@s8halm" in text.get_content()
    assert "postmaster@example.test" in text.get_content()
    assert status.get_content_type() == "message/delivery-status"
    assert "Action: failed" in status.as_string()
    assert original.get_content_type() == "text/rfc822-headers"
    assert original.get_content().replace("\r\n", "\n").startswith("X-Postal-Spam: no\nFrom: Ann <ann@remote")
    assert "Hello" not in bytes(Body.objects.get(pk=number).raw).decode()


def test_its_row_is_postals(world, failed, send):
    assert list(send(failed)) == [failed.id]
    row = Message.objects.get(is_bounce=True)
    assert (row.mail_from, row.rcpt_to, row.subject) == (
        "in@example.test",
        "ann@remote.example",
        "Mail Delivery Failed (Hi)",
    )
    assert (row.bounce_for_id, row.domain_id, row.credential_id) == (failed.id, world.domain.pk, None)


def test_it_goes_out_with_a_null_reverse_path(world, failed, send, config):
    [number] = send(failed).values()
    claim = Claimed(number, world.server.pk, "remote.example", 0, False, 100, NOW)
    [prepared] = messages.prepare([claim], world.directory(), config, NOW)
    mail = prepared.delivery
    assert isinstance(mail, SmtpDelivery)
    assert (mail.reverse_path, mail.recipient) == (None, "ann@remote.example")


def test_a_wildcard_route_is_named_by_the_recipient(world, failed, send):
    Route.objects.update(name="*")
    send(failed)
    assert Message.objects.get(is_bounce=True).mail_from == "in@example.test"


@each(
    "values, is_notified",
    [
        ({}, True),
        ({"mail_from": None}, False),
        ({"is_bounce": True}, False),
        ({"mail_from": "nonsense"}, False),
        ({"mail_from": "a\r\nb@x.example"}, False),
    ],
)
def test_who_is_notified(values, is_notified):
    message = Message(**{"mail_from": "ann@remote.example", **values})
    assert failure_notice.may_notify(message) is is_notified


def test_a_purged_text_sends_no_notice(failed, send):
    failed.body_id = None
    assert send(failed) == {}


@pytest.mark.parametrize(
    "header",
    [
        b"Auto-Submitted: auto-generated",
        b"auto-submitted: Auto-Replied; owner-email=x@example.org",
        b"Precedence: bulk",
        b"X-Auto-Response-Suppress: DR, NDR",
    ],
)
def test_program_is_not_notified(world, failed, send, header):
    Body.objects.update(raw=header + b"\r\n" + RAW)
    assert send(failed) == {}
    assert not Message.objects.filter(is_bounce=True).exists()


class TestLimits:
    """One message about which notices are asked for again and again."""

    @pytest.fixture(autouse=True)
    def config(self, config):
        return replace(
            config, delivery=replace(config.delivery, max_notices_per_server=5, max_notices_per_recipient=3)
        )

    def test_address_is_written_to_so_often_in_an_hour(self, failed, send):
        assert [bool(send(failed)) for _ in range(5)] == [True] * 3 + [False] * 2
        failed.mail_from = "ANN@remote.example"
        assert not send(failed)
        failed.mail_from = "bob@remote.example"
        assert send(failed)
        failed.mail_from = "ann@remote.example"
        assert send(failed, NOW + timedelta(hours=1))

    def test_address_is_spared_by_all_mail_servers_together(self, world, failed, send):
        names = {"name": "O", "permalink": "o", "token": "other1"}
        other = Server.objects.create(organization=world.organization, **names)
        for _ in range(3):
            assert send(failed)
        failed.server_id = other.pk
        assert not send(failed)

    def test_mail_server_sends_so_many_in_an_hour(self, failed, send):
        notified = []
        for number in range(7):
            failed.mail_from = f"victim{number}@remote.example"
            notified.append(bool(send(failed)))
        assert notified == [True] * 5 + [False] * 2

    def test_limits_hold_within_a_batch(self, world, failed, config):
        reasons = {failed.id: "x"}
        sent = failure_notice.send([failed] * 5, reasons, world.directory(), config, NOW)
        assert sent.withheld == 2
        assert Message.objects.filter(is_bounce=True).count() == 3

    def test_counts_are_forgotten(self, failed, send):
        send(failed)
        counts = Counter.objects.filter(name__startswith="notice:")
        assert max(len(row.name) for row in counts) <= 32
        assert notice_limit.forget(NOW) == 0
        assert notice_limit.forget(NOW + timedelta(hours=1)) == 2
        assert not counts.all().exists()


def test_limit_of_nothing_sends_nothing(world, failed, config):
    none = replace(config, delivery=replace(config.delivery, max_notices_per_recipient=0))
    assert failure_notice.send(
        [failed], {failed.id: "x"}, world.directory(), none, NOW
    ) == failure_notice.Sent({}, 1)


class TestApply:
    def test_a_failed_post_tells_the_sender_and_names_the_notice(self, world, record):
        world.add_webhook()
        [claim] = store(world, "in@example.test", scope=Scope.INCOMING, mail_from="ann@remote.example")
        found = outcome.outcome_of_response(404, "as asked", url="http://h.example/in", seconds=0.01)
        assert record(Result(claim, found)).finished == [claim.id]
        notice = Message.objects.exclude(pk=claim.id).get()
        sentence = f"Sent bounce message to sender (see message <msg:{notice.id}>)"
        details = f"Received a 404 from http://h.example/in. {sentence}"
        assert Delivery.objects.get().details == details
        assert (notice.scope, notice.rcpt_to, notice.mail_from) == (
            "outgoing",
            "ann@remote.example",
            "in@example.test",
        )
        assert (notice.is_bounce, notice.bounce_for_id, notice.received_with_ssl) == (True, claim.id, None)
        assert QueuedMessage.objects.get(pk=notice.id).destination == "remote.example"
        [payload] = events("MessageDeliveryFailed")
        assert payload["details"] == details

    def test_a_stranger_hears_neither_the_url_nor_the_host_inside(self, world, record):
        for found in (
            outcome.outcome_of_response(404, "x", url="http://user:secret@h.internal/in", seconds=0.01),
            outcome.outcome_of_reply(
                Reply.parse([b"550 5.7.1 mynetworks 10.0.0.0/8 only"]),
                recipient="in@example.test",
                peer=outcome.Peer("mail.internal", "10.0.0.1", 25),
                seconds=0.01,
            ),
            outcome.unreachable("mail.internal", tried=["mail.internal"], is_permanent=True),
        ):
            [claim] = store(world, "in@example.test", scope=Scope.INCOMING, mail_from="ann@remote.example")
            record(Result(claim, found))
            text = bytes(Body.objects.latest("id").raw)
            assert b"Diagnostic-Code: x-postal; The recipient's system " in text
            for inside in (b"secret", b"internal", b"10.0.0", b"mynetworks"):
                assert inside not in text

    def test_limits_withhold_notices_and_say_so(self, world, config):
        limited = replace(config, delivery=replace(config.delivery, max_notices_per_recipient=2))
        claims = [
            store(world, "in@example.test", scope=Scope.INCOMING, mail_from=sender)[0]
            for sender in ["ann@remote.example"] * 3 + ["Ann@Remote.example", "bob@remote.example"]
        ]
        found = outcome.outcome_of_response(404, "", url="http://h.example/in", seconds=0.01)
        recorded = results.record([Result(claim, found) for claim in claims], world.directory(), limited, NOW)
        assert recorded.withheld_notices == 2
        assert Message.objects.filter(bounce_for_id__isnull=False).count() == 3
        texts = [row.details for row in Delivery.objects.order_by("message_id")]
        assert ["Sent bounce" in details for details in texts] == [True, True, False, False, True]

    @pytest.mark.parametrize(
        ("code", "values"),
        [
            (429, {}),
            (503, {}),
            (404, {"mail_from": None}),
            (404, {"is_bounce": True}),
            (404, {"mail_from": "nonsense"}),
        ],
    )
    def test_some_senders_are_not_notified(self, world, record, code, values):
        values = {"mail_from": "ann@remote.example", **values}
        [claim] = store(world, "in@example.test", scope=Scope.INCOMING, **values)
        record(Result(claim, outcome.outcome_of_response(code, "", url="http://h.example/in", seconds=0.01)))
        assert Message.objects.count() == 1
        assert Delivery.objects.get().details == f"Received a {code} from http://h.example/in"

    def test_outgoing_failures_send_no_notice(self, world, record):
        [claim] = store(world)
        record(sent(claim, "550 5.1.1 no"))
        assert Message.objects.count() == 1

    def test_a_failed_forward_leaves_the_recipient_alone(self, world, record):
        [claim] = store(world, "fwd@example.test", scope=Scope.INCOMING, mail_from="ann@remote.example")
        record(sent(claim, "550 5.1.1 no"))
        assert not FailureEvidence.objects.exists()
        assert Message.objects.count() == 2
