import base64
import re
from dataclasses import replace
from datetime import timedelta

import dkim
import pytest

from postal_server.mail import dkim as own_dkim
from postal_server.mail.message import decode_header, header_values, split_header
from postal_server.models import (
    Credential,
    Delivery,
    Domain,
    IPAddress,
    IPPool,
    Link,
    Message,
    Server,
    Stream,
    TrackDomain,
)
from postal_server.rules import hold
from postal_server.rules.classification import Classification
from postal_server.rules.failure_class import FailureClass, Stage
from postal_server.rules.status import DeliveryStatus
from postal_server.rules.suppression import Reason
from postal_server.services.preparation import inspection, messages
from postal_server.services.results import record
from postal_server.services.results.classification import GaveUp
from postal_server.services.results.suppression_entries import given_entry, put
from postal_server.services.shared import token
from postal_server.services.shared.entries import Source
from postal_server.services.shared.work import Decision, Dsn, Inspection, Prepared, SmtpDelivery, Target
from tests.each import each
from tests.postal_server.services.conftest import NOW, RAW, sent, store


def suppress(world, scope: str = "", reason: Reason = Reason.BAD_ADDRESS) -> None:
    recipient = world.server.pk, "a@dest.example"
    put([given_entry(recipient, NOW, keep_until=None, reason=reason, scope=scope)])


@pytest.fixture
def prepare(world, config):
    def call(*claims, config=config):
        return messages.prepare(claims, world.directory(), config, NOW)

    return call


def verify(mail, *keys, count=None):
    """Do all signatures of a mail (the first `count`) verify with the records of `keys` by name?"""
    records = {name: own_dkim.public_record(own_dkim.SigningKey.load(pem)).encode() for name, pem in keys}

    def look_up(name, timeout=5):
        return records.get(name.decode().rstrip("."))

    checker = dkim.DKIM(mail.data)
    count = count or len(header_values(mail.data, "DKIM-Signature"))
    return count and all(checker.verify(index, dnsfunc=look_up) for index in range(count))


class TestSend:
    def test_mail_is_signed_by_its_domain_and_bears_its_token(self, world, prepare, domain_key):
        [claim] = store(world)
        [prepared] = prepare(claim)
        mail = prepared.delivery
        assert isinstance(mail, SmtpDelivery)
        names = re.findall(rb"(?m)^([A-Za-z-]+):", split_header(mail.data)[0])
        assert names[:4] == [b"Resent-Sender", b"DKIM-Signature", b"X-Postal-MsgID", b"Received"]
        assert mail.data.endswith(RAW)
        assert header_values(mail.data, "X-Postal-MsgID") == [token.message_token(claim.id)]
        assert verify(mail, ("postal-WTgXDd._domainkey.example.test", domain_key))
        assert mail.reverse_path == f"bounces+s8halm-{token.message_token(claim.id)}@rp.postal.example.test"
        assert header_values(mail.data, "Resent-Sender") == [mail.reverse_path]
        assert (mail.recipient, mail.target) == ("a@dest.example", Target("dest.example"))

    def test_without_a_published_key_the_installation_signs(self, world, prepare, keys):
        Domain.objects.update(dkim_status="Missing")
        [prepared] = prepare(*store(world))
        mail = prepared.delivery
        pem = (keys / "signing.key").read_text()
        assert verify(mail, ("postal._domainkey.rp.postal.example.test", pem))

    def test_a_domain_with_both_keys_signs_with_both(self, world, prepare, domain_key):
        Domain.objects.update(dkim_ed25519_private_key=own_dkim.generate_ed25519())
        [prepared] = prepare(*store(world))
        mail = prepared.delivery
        rsa, ed25519 = header_values(mail.data, "DKIM-Signature")
        assert "a=rsa-sha256" in rsa
        assert "a=ed25519-sha256" in ed25519  # that one verifies is tested with the signer
        assert "s=postal-WTgXDd-ed25519;" in ed25519
        assert verify(mail, ("postal-WTgXDd._domainkey.example.test", domain_key), count=1)

    def test_a_retry_sends_the_same_bytes(self, world, prepare, config):
        [claim] = store(world)
        [prepared] = prepare(claim)
        mail = prepared.delivery
        record.record([sent(claim, "450 later", prepared.changes)], world.directory(), config, NOW)
        later = messages.prepare(
            [replace(claim, attempts=1)], world.directory(), config, NOW + timedelta(minutes=5)
        )
        assert later[0].delivery.data == mail.data
        assert later[0].changes.prefix is None

    def test_a_domain_with_a_return_path_uses_it(self, world, prepare):
        Domain.objects.update(return_path_status="OK")
        [claim] = store(world)
        [prepared] = prepare(claim)
        mail = prepared.delivery
        assert mail.reverse_path == f"bounces+s8halm-{token.message_token(claim.id)}@psrp.example.test"

    def test_reports_are_to_name_the_message_and_the_recipient_that_it_was_accepted_for(self, world, prepare):
        [claim] = store(world, "a+b@dest.example")
        [prepared] = prepare(claim)
        assert prepared.delivery.dsn == Dsn(
            "FAILURE,DELAY", token.message_token(claim.id), "a+b@dest.example"
        )

    def test_reports_can_be_left_to_the_host(self, world, prepare, config):
        off = replace(config, smtp_client=replace(config.smtp_client, dsn=False))
        [prepared] = prepare(*store(world), config=off)
        assert prepared.delivery.dsn is None

    def test_bounces_have_a_null_reverse_path_and_no_resent_sender(self, world, prepare):
        [prepared] = prepare(*store(world, is_bounce=True))
        mail = prepared.delivery
        assert (mail.reverse_path, mail.dsn) == (None, Dsn("NEVER"))
        assert mail.data.startswith(b"DKIM-Signature")

    def test_resent_sender_can_be_switched_off(self, world, prepare, config):
        off = replace(config, postal=replace(config.postal, use_resent_sender_header=False))
        [prepared] = prepare(*store(world), config=off)
        mail = prepared.delivery
        assert mail.data.startswith(b"DKIM-Signature")

    def test_a_foreign_token_is_replaced(self, world, prepare, config, domain_key):
        raw = b"X-Postal-MsgID: SomebodyElses\r\n" + RAW
        [claim] = store(world, raw=raw)
        [prepared] = prepare(claim)
        mail = prepared.delivery
        assert header_values(mail.data, "X-Postal-MsgID") == [token.message_token(claim.id)]
        assert verify(mail, ("postal-WTgXDd._domainkey.example.test", domain_key))
        record.record([sent(claim, "450 later", prepared.changes)], world.directory(), config, NOW)
        [again] = prepare(claim)
        assert again.delivery.data == mail.data

    def test_an_8bit_header_becomes_encoded_words_before_it_is_signed(self, world, prepare, domain_key):
        name = 'Content-Disposition: attachment; filename="Überblick.pdf"\r\n\r\nx\r\n'
        raw = (
            "From: Jörg <x@example.test>\r\nSubject: Grüße\r\n"
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            f"--b\r\nContent-Type: application/pdf\r\n{name}--b--\r\n"
        ).encode()
        [prepared] = prepare(*store(world, raw=raw))
        mail = prepared.delivery
        assert mail.data.isascii()
        assert prepared.changes.raw is not None
        assert decode_header(header_values(mail.data, "Subject")[0]) == "Grüße"
        assert b"filename*=UTF-8''%C3%9Cberblick.pdf" in mail.data
        assert verify(mail, ("postal-WTgXDd._domainkey.example.test", domain_key))

    def test_8bit_mail_is_made_7bit_before_it_is_signed(self, world, prepare, domain_key):
        raw = RAW.replace(b"Hello", "Grüße".encode())
        [prepared] = prepare(*store(world, raw=raw))
        mail = prepared.delivery
        assert mail.data.isascii()
        assert verify(mail, ("postal-WTgXDd._domainkey.example.test", domain_key))

    def test_a_tag_in_the_header_counts_where_there_is_none(self, world, prepare):
        raw = b"X-Postal-Tag: one\r\nX-Postal-Tag: two\r\n" + RAW
        [first] = prepare(*store(world, raw=raw))
        [second] = prepare(*store(world, raw=raw, tag="given"))
        assert (first.changes.tag, second.changes.tag) == ("two", None)
        assert header_values(first.delivery.data, "X-Postal-Tag") == ["one", "two"]

    def test_answers_keep_the_order_of_the_claims(self, world, prepare):
        claims = store(world, "a@x.example", None, "b@x.example", "foo")
        assert [item.claimed for item in prepare(*claims)] == claims

    @pytest.mark.parametrize("count", [1, 20])
    def test_a_batch_takes_three_queries(self, world, config, count, django_assert_num_queries):
        claims = store(world, *[f"a{n}@x.example" for n in range(count)])
        directory = world.directory()
        with django_assert_num_queries(3):
            messages.prepare(claims, directory, config, NOW)


def held(item):
    assert isinstance(item, Decision)
    assert item.hold_reason is (hold.reason_of(item.details) if item.status is DeliveryStatus.HELD else None)
    return item.status, item.details


class TestHold:
    def test_a_suspended_server(self, world, prepare):
        Server.objects.update(suspended_at=NOW)
        status, details = held(*prepare(*store(world, is_manual=True)))
        assert status is DeliveryStatus.HELD
        assert details.startswith("Mail server has been suspended.")

    @pytest.mark.parametrize("is_manual", [False, True])
    def test_a_holding_credential(self, world, prepare, is_manual):
        credential = Credential.objects.create(server=world.server, name="c", hold=True)
        [item] = prepare(*store(world, credential_id=credential.pk, is_manual=is_manual))
        assert isinstance(item, Prepared) is is_manual
        if not is_manual:
            assert held(item) == (
                DeliveryStatus.HELD,
                "Credential is configured to hold all messages authenticated by it.",
            )

    @each("is_manual", [False, True])
    @each("suppressed_as, status", [("held", DeliveryStatus.HELD), ("failed", DeliveryStatus.FAILED)])
    def test_a_suppressed_recipient(self, world, prepare, is_manual, suppressed_as, status):
        Server.objects.update(suppressed_as=suppressed_as)
        suppress(world)
        [item] = prepare(*store(world, "A@dest.example", is_manual=is_manual))
        assert isinstance(item, Prepared) is is_manual
        if not is_manual:
            assert held(item) == (
                status,
                "Recipient (A@dest.example) is on the suppression list (reason: too many hard fails)",
            )
            [stopped] = item.effects
            assert stopped.stop.reason is Reason.BAD_ADDRESS

    @pytest.mark.parametrize(("scope", "is_stopped"), [("domain:example.test", True), ("stream:x", False)])
    def test_an_entry_for_the_mail_of_one_domain(self, world, prepare, scope, is_stopped):
        suppress(world, scope)
        [item] = prepare(*store(world))
        assert isinstance(item, Decision) is is_stopped

    @pytest.mark.parametrize(
        ("scope", "reason", "stream", "is_stopped"),
        [
            ("", Reason.BAD_ADDRESS, {}, True),
            ("", Reason.UNSUBSCRIBE, {}, False),
            ("", Reason.UNSUBSCRIBE, {"kind": "bulk"}, True),
            ("stream:news", Reason.UNSUBSCRIBE, {}, True),
            ("stream:other", Reason.UNSUBSCRIBE, {"kind": "bulk"}, False),
            ("stream:news", Reason.COMPLAINT, {}, True),
            ("stream:news", Reason.COMPLAINT, {"must_arrive": True}, False),
            ("stream:news", Reason.BAD_ADDRESS, {"must_arrive": True}, True),
            ("", Reason.UNSUBSCRIBE, None, False),  # has no row yet; the mail is transactional
        ],
    )
    def test_which_entries_stop_a_stream(self, world, prepare, scope, reason, stream, is_stopped):
        if stream is not None:
            Stream.objects.create(server=world.server, name="news", **stream)
        suppress(world, scope, reason)
        [item] = prepare(*store(world, stream="news"))
        assert isinstance(item, Decision) is is_stopped

    @pytest.mark.parametrize("is_manual", [False, True])
    def test_development_mode_holds_what_is_signed_already(self, world, prepare, is_manual):
        Server.objects.update(mode="Development")
        [item] = prepare(*store(world, is_manual=is_manual))
        assert isinstance(item, Prepared) is is_manual
        assert item.changes.prefix.startswith(b"DKIM-Signature")
        if not is_manual:
            assert held(item) == (DeliveryStatus.HELD, "Server is in development mode.")

    def test_the_send_limit_holds_releases_too(self, world, prepare):
        Server.objects.update(send_limit=2)
        one, two, three = store(world, "a@x.example", "b@x.example", "c@x.example", is_manual=True)
        items = prepare(one, two, three)
        assert [isinstance(item, Prepared) for item in items] == [True, True, False]
        assert held(items[2]) == (
            DeliveryStatus.HELD,
            "Message held because send limit (2) has been reached.",
        )


class TestFail:
    def test_a_message_without_a_recipient(self, world, prepare):
        assert held(*prepare(*store(world, None))) == (
            DeliveryStatus.FAILED,
            "Message doesn't have an RCPT to",
        )

    @each("address", ["foo", "a@", "a b@x.example", "a@b.example>"])
    def test_what_is_no_address(self, world, prepare, address):
        status, details = held(*prepare(*store(world, address)))
        assert status is DeliveryStatus.FAILED
        assert details.startswith("No SMTP servers were available for")

    def test_a_purged_text(self, world, prepare):
        claims = store(world)
        Message.objects.update(body_id=None)
        assert held(*prepare(*claims)) == (
            DeliveryStatus.FAILED,
            "Raw message has been removed. Cannot send message.",
        )

    def test_a_deleted_domain(self, world, prepare):
        claims = store(world)
        Domain.objects.all().delete()
        assert held(*prepare(*claims)) == (DeliveryStatus.FAILED, "Message's domain no longer exist")

    def test_a_deleted_message_or_server(self, world, prepare):
        claims = store(world)
        Server.objects.update(deleted_at=NOW)
        assert held(*prepare(*claims)) == (DeliveryStatus.FAILED, messages.GONE)

    def test_used_up_attempts_have_the_class_of_the_last_answer(self, world, prepare):
        [claim] = store(world, attempts=18)
        for number, name in enumerate(("rate", "mailbox_full")):
            Delivery.objects.create(
                message_id=claim.id, status="SoftFail", code=452, output="452", diagnostic=f"452 {number}",
                failure_class=name, rule="a rule", stage="rcpt", operator="d.example", created_at=NOW,
            )  # fmt: skip
        [item] = prepare(claim)
        assert held(item) == (
            DeliveryStatus.FAILED,
            "Maximum number of delivery attempts (18) has been reached.",
        )
        found = Classification(FailureClass.MAILBOX_FULL, False, "a rule", "d.example", Stage.RCPT)
        assert GaveUp(found, "452 1") in item.effects

    def test_used_up_attempts_without_a_reason_have_expired(self, world, prepare):
        [claim] = store(world, attempts=18)
        Delivery.objects.create(
            message_id=claim.id, status="SoftFail", code=450, output="450 x", failure_class="unknown",
            details="x", created_at=NOW,
        )  # fmt: skip
        [item] = prepare(claim)
        found = Classification(FailureClass.EXPIRED, False, "attempts used up", "")
        assert GaveUp(found, "450 x") in item.effects

    def test_errors_of_ours_suppress_no_address(self, world, prepare):
        [item] = prepare(*store(world, attempts=18))
        assert item.status is DeliveryStatus.FAILED
        assert item.effects == ()

    def test_the_17th_retry_is_tried(self, world, prepare):
        assert isinstance(*prepare(*store(world, attempts=17)), Prepared)

    @pytest.mark.parametrize(("score", "spam"), [(4.9, False), (5.0, True)])
    def test_spam(self, world, prepare, monkeypatch, score, spam):
        monkeypatch.setattr(inspection, "inspect", lambda raw, message, config: Inspection(score=score))
        Server.objects.update(outbound_spam_threshold=5.0)
        [item] = prepare(*store(world))
        assert isinstance(item, Decision) is spam
        assert item.changes.inspection == Inspection(score=score, is_spam=spam)
        if spam:
            assert held(item) == (
                DeliveryStatus.FAILED,
                "Message is likely spam. Threshold is 5.0 and the message scored 5.0.",
            )

    def test_mail_is_inspected_once_and_not_at_each_try(self, world, prepare, monkeypatch):
        monkeypatch.setattr(inspection, "inspect", lambda raw, message, config: Inspection(score=9.0))
        Server.objects.update(outbound_spam_threshold=5.0)
        claims = store(world)
        Message.objects.update(is_inspected=True, spam_score=1.0)
        [prepared] = prepare(*claims)
        mail = prepared.delivery
        assert isinstance(mail, SmtpDelivery)
        assert prepared.changes.inspection is None

    def test_without_a_threshold_there_is_no_inspection(self, world, prepare):
        [prepared] = prepare(*store(world))
        assert prepared.changes.inspection is None


class TestErrors:
    def test_a_bug_costs_one_message_and_not_the_batch(self, world, prepare):
        Domain.objects.update(dkim_private_key="no key")
        other = Domain.objects.create(server=world.server, name="other.test", verified_at=NOW)
        [broken], [good] = store(world), store(world, domain_id=other.pk)
        decision, prepared = prepare(broken, good)
        assert decision.status is DeliveryStatus.ERROR
        assert decision.details == (
            "An internal error occurred while sending this message. "
            "This message will be retried automatically."
        )
        assert decision.output.startswith("ValueError: ")
        assert isinstance(prepared.delivery, SmtpDelivery)


class TestTracking:
    HTML = RAW.replace(
        b"\r\n\r\nHello", b"\r\nContent-Type: text/html\r\n\r\n<a href='http://x.example/1'>x</a>"
    )

    @pytest.fixture
    def tracked(self, world):
        return TrackDomain.objects.create(server=world.server, domain=world.domain, dns_status="OK")

    def test_links_are_stored_and_the_mail_points_to_them(self, world, tracked, prepare, domain_key):
        [claim] = store(world, raw=self.HTML)
        [prepared] = prepare(claim)
        mail = prepared.delivery
        link = Link.objects.get()
        assert (link.url, link.message_id) == ("http://x.example/1", claim.id)
        assert f"https://click.example.test/s8halm/{token.link_token(link.pk)}".encode() in mail.data
        assert f"/img/s8halm/{token.message_token(claim.id)}".encode() in mail.data
        assert verify(mail, ("postal-WTgXDd._domainkey.example.test", domain_key))
        assert prepared.changes.is_rewritten

    def test_it_happens_once(self, world, tracked, prepare, config):
        [claim] = store(world, raw=self.HTML)
        [prepared] = prepare(claim)
        mail = prepared.delivery
        record.record([sent(claim, "450 later", prepared.changes)], world.directory(), config, NOW)
        [again] = prepare(claim)
        assert again.delivery.data == mail.data
        assert Link.objects.count() == 1

    @pytest.mark.parametrize(
        "change", [{"dns_status": "Missing"}, {"track_clicks": False, "track_loads": False}]
    )
    def test_not_without_a_working_track_domain(self, world, tracked, prepare, change):
        TrackDomain.objects.update(**change)
        [prepared] = prepare(*store(world, raw=self.HTML))
        mail = prepared.delivery
        assert mail.data.endswith(self.HTML)
        assert not Link.objects.exists()

    def test_a_mark_against_tracking_never_reaches_the_reader(self, world, prepare):
        raw = self.HTML.replace(b"http://x", b"http+notrack://x")
        [prepared] = prepare(*store(world, raw=raw))
        mail = prepared.delivery
        assert b"notrack" not in mail.data

    def test_nor_does_one_in_base64(self, world, prepare):
        head = b"From: sender@example.test\r\nContent-Type: text/html\r\n"
        head += b"Content-Transfer-Encoding: base64\r\n\r\n"
        text = base64.b64encode(b"<a href='http+notrack://x.example/1'>x</a>")
        [prepared] = prepare(*store(world, raw=head + text + b"\r\n"))
        mail = prepared.delivery
        assert b"<a href='http://x.example/1'>" in base64.b64decode(mail.data.rpartition(b"\r\n\r\n")[2])

    def test_a_batch_takes_one_query_more(self, world, tracked, config, django_assert_num_queries):
        claims = store(world, *[f"a{n}@x.example" for n in range(10)], raw=self.HTML)
        directory = world.directory()
        with django_assert_num_queries(4):
            messages.prepare(claims, directory, config, NOW)
        assert Link.objects.count() == 10


@each(
    "field, tls_optional",
    [
        (b"", False),
        (b"TLS-Required: No\r\n", True),
        (b"tls-required:no\r\n", True),
        (b"TLS-Required: yes\r\n", False),
        (b"X-Note: TLS-Required: No\r\n", False),
    ],
)
def test_mail_may_say_that_it_had_better_arrive_in_clear_than_not_at_all(world, prepare, field, tls_optional):
    [claim] = store(world, raw=RAW.replace(b"Subject:", field + b"Subject:"))
    [prepared] = prepare(claim)
    mail = prepared.delivery
    assert mail.target.tls_optional is tls_optional


def test_mail_leaves_from_the_address_it_is_bound_to(world, prepare):
    pool = IPPool.objects.create(name="p")
    bound = IPAddress.objects.create(ip_pool=pool, ipv4="192.0.2.7", ipv6="2001:db8::7", hostname="o.example")
    first, second = store(world, "a@dest.example", "b@dest.example")
    here, any_address = prepare(replace(first, source_id=bound.pk), second)
    assert here.delivery.source == Source("192.0.2.7", "2001:db8::7", "o.example")
    assert any_address.delivery.source is None
