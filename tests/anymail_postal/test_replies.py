"""Which mail is a reply, to what, and by whom: from the address to the signals."""

import subprocess
import sys
import time
import uuid
from datetime import datetime, timedelta

import pytest
from anymail.exceptions import AnymailConfigurationError
from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailInboundEvent, inbound
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from anymail_postal import conf, metadata, replies, signals
from anymail_postal import inbound as inbound_mail
from anymail_postal.errors import ReplyTokenError
from anymail_postal.replies import ReplyMatch, auto_headers, is_answer, match_reply, reply_address

pytestmark = pytest.mark.django_db
DOMAIN = "r.example.org"


@pytest.fixture(autouse=True)
def reply_settings(settings):
    settings.ANYMAIL = {
        "POSTAL_REPLY_DOMAIN": DOMAIN,
        "POSTAL_SERVERS": {"eu": {"reply_domain": "r.eu.example", "secret_key": "e" * 40}},
    }
    return settings


def set_postal(settings, **values):
    settings.ANYMAIL = {
        **settings.ANYMAIL,
        **{f"POSTAL_{name.upper()}": value for name, value in values.items()},
    }


def mail(*headers, envelope=None, sender="ann@example.org"):
    """A mail with these header lines, as the inbound view passes it on."""
    lines = [*headers, "", "Hello"]
    message = inbound_mail.parse("\r\n".join(lines).encode())
    message.envelope_recipient, message.envelope_sender = envelope, sender
    return message


ANSWERS = [
    "In-Reply-To: <1@example.org>",
    "References: <1@example.org>",
    "To: reply+x@r.example.org",
    "Subject: Re: Boxes",
    "Subject: RE : Boxes",
    "Subject: re[2]: Boxes",
    "Subject: [list] Re: Boxes",
    "Subject: AW: Kisten",
    "Subject: SV: Lådor",
    "Subject: Antw: Kratten",
    "Subject: R: Casse",
    "Subject: RES: Caixas",
    "Subject: Odp: Skrzynki",
    "Subject: YNT: Kasalar",
    "Subject: Vá: Ládák",
    "Subject: ΑΠ: Κιβώτια",
    "Subject: 回复：箱子",
    "Subject: =?utf-8?B?5Zue6KaGOiDnrrHlrZA=?=",
]
OTHERS = [
    "Subject: Boxes",
    "Subject: Re",
    "Subject: Regarding: boxes",
    "Subject:",
    "To: reply+x@elsewhere.example",
    "Subject: Fwd: Boxes\r\nIn-Reply-To: <1@example.org>",
    "Subject: FW: Re: Boxes\r\nTo: reply+x@r.example.org",
    "Subject: WG: Kisten\r\nReferences: <1@example.org>",
    "Subject: Tr : Caisses\r\nReferences: <1@example.org>",
    "Subject: I: Casse\r\nReferences: <1@example.org>",
    "Subject: 转发: 箱子\r\nReferences: <1@example.org>",
]


class TestIsAnswer:
    @pytest.mark.parametrize("headers", ANSWERS)
    def test_by_what_it_names_or_how_its_subject_begins(self, headers):
        assert is_answer(mail(headers))

    @pytest.mark.parametrize("headers", OTHERS)
    def test_other_and_forwarded_mail_is_none(self, headers):
        assert is_answer(mail(headers)) is False

    def test_a_reply_to_forwarded_mail_is_one(self):
        assert is_answer(mail("Subject: Re: Fwd: Boxes"))

    @pytest.mark.parametrize(("label", "expected"), [("Lähettäjä", True), ("Fra", False)])
    def test_a_prefix_of_two_meanings_goes_by_the_language_of_the_quoted_mail(self, label, expected):
        message = inbound_mail.parse(f"Subject: VS: x\n\nHei\n\n{label}: Ann <a@example.org>\n".encode())
        assert is_answer(message) is expected

    def test_without_a_reply_domain_the_headers_still_count(self, settings):
        settings.ANYMAIL = {}
        assert is_answer(mail("Subject: Re: x"))
        assert not is_answer(mail("To: reply+x@r.example.org"))


class TestAddress:
    def test_it_has_the_length_that_was_promised(self):
        address = reply_address(12, 7)
        assert address.startswith("reply+")
        assert address.endswith("@r.example.org")
        assert len(address.split("@")[0]) == 37

    @pytest.mark.parametrize(
        ("obj", "user", "length"),
        [(12, None, 31), (12, 7, 31), (2**40, None, 44), (uuid.UUID(int=5), None, 44)],
        ids=["object", "with user", "wide", "UUID"],
    )
    def test_numbers_and_uuids_come_back(self, obj, user, length):
        address = reply_address(obj, user)
        assert len(address) == len("reply+@r.example.org") + length
        match = match_reply(mail(envelope=address))
        assert (match.object_id, match.user_id) == (obj, user)

    def test_models_are_their_ids(self):
        group = Group.objects.create(name="x")
        user = get_user_model().objects.create_user("ann", "ann@example.org")
        match = match_reply(mail(envelope=reply_address(group, user)))
        assert (match.object_id, match.user_id) == (group.pk, user.pk)

    @pytest.mark.parametrize(
        ("obj", "user"),
        [
            (Group(), None),
            ("12", None),
            (1.5, None),
            (None, None),
            (True, None),
            (-1, None),
            (2**64, None),
            (1, "ann"),
            (1, False),
            (1, uuid.UUID(int=5)),
            (uuid.UUID(int=5), 7),
        ],
        ids=repr,
    )
    def test_other_ids_are_refused(self, obj, user):
        with pytest.raises(ValueError, match=r"reply address"):
            reply_address(obj, user)

    def test_a_domain_is_required(self, settings):
        settings.ANYMAIL = {}
        with pytest.raises(AnymailConfigurationError, match="POSTAL_REPLY_DOMAIN"):
            reply_address(1)

    def test_the_local_part_is_a_setting(self, settings):
        set_postal(settings, reply_local_part="inbox.2-of.us")
        assert reply_address(1).startswith("inbox.2-of.us+")
        assert match_reply(mail(envelope=reply_address(1))).object_id == 1

    def test_each_server_has_its_own(self):
        address = reply_address(1, server="eu")
        assert address.endswith("@r.eu.example")
        assert match_reply(mail(envelope=address)) is None
        assert match_reply(mail(envelope=address), server="eu").object_id == 1

    def test_a_token_of_one_server_fails_at_another(self):
        moved = reply_address(1).replace(DOMAIN, "r.eu.example")
        with pytest.raises(ReplyTokenError):
            match_reply(mail(envelope=moved), server="eu")


class TestExpiry:
    @pytest.mark.parametrize("max_age", [timedelta(days=1), 86400, timedelta(0), 0])
    def test_an_address_with_an_expiry_is_longer_and_works(self, max_age):
        address = reply_address(1, max_age=max_age)
        assert len(address.split("@")[0]) == 40
        assert match_reply(mail(envelope=address)).object_id == 1

    def test_after_its_last_day_it_does_not(self, monkeypatch):
        address = reply_address(1, max_age=timedelta(days=3))

        class Later(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + timedelta(days=4)

        monkeypatch.setattr(replies, "datetime", Later)
        with pytest.raises(ReplyTokenError):
            match_reply(mail(envelope=address))

    def test_the_default_is_a_setting(self, settings):
        set_postal(settings, reply_max_age=timedelta(days=30))
        assert len(reply_address(1).split("@")[0]) == 40
        assert len(reply_address(1, max_age=None).split("@")[0]) == 37

    @pytest.mark.parametrize(
        "max_age", [timedelta(days=-1), -1, timedelta.max, timedelta(days=365 * 200), "x"]
    )
    def test_impossible_ages_are_refused(self, max_age):
        with pytest.raises(ValueError, match=r"max_age|can expire until|must be"):
            reply_address(1, max_age=max_age)


class TestRotation:
    def test_addresses_outlive_a_change_of_the_secret(self, settings):
        address = reply_address(1)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "a new secret of the project, 0123456789"
        assert match_reply(mail(envelope=address)).object_id == 1
        assert reply_address(1) != address

    def test_not_without_the_old_secret(self, settings):
        address = reply_address(1)
        settings.SECRET_KEY = "a new secret of the project, 0123456789"
        with pytest.raises(ReplyTokenError):
            match_reply(mail(envelope=address))

    def test_a_secret_of_its_own_takes_the_place_of_djangos(self, settings):
        address = reply_address(1)
        set_postal(settings, secret_key=["n" * 40, "o" * 40])
        with pytest.raises(ReplyTokenError):
            match_reply(mail(envelope=address))
        assert match_reply(mail(envelope=reply_address(2))).object_id == 2


def sealed(data, domain="example.org"):
    return "<" + metadata.seal(data, conf.secret_keys(conf.server())[0], b"n" * 12, domain) + ">"


class TestOrder:
    @pytest.mark.parametrize("via", ["To", "Cc", "Delivered-To"])
    def test_headers_hold_addresses_too(self, via):
        address = reply_address(1)
        message = mail(f'{via}: "Lee, Ann" <x@example.org>,\r\n "Reply" <{address}>')
        assert match_reply(message) == ReplyMatch(via, 1)

    def test_the_envelope_counts_first_then_the_headers_in_order(self):
        headers = [
            f"{name}: {reply_address(number)}" for number, name in enumerate(["Delivered-To", "Cc", "To"])
        ]
        assert match_reply(mail(*headers, envelope=reply_address(9))) == ReplyMatch("envelope", 9)
        assert match_reply(mail(*headers)) == ReplyMatch("To", 2)
        assert match_reply(mail(*headers[:2])) == ReplyMatch("Cc", 1)
        assert match_reply(mail(*headers[:1])) == ReplyMatch("Delivered-To", 0)

    def test_upper_case_is_no_other_address(self):
        assert match_reply(mail(envelope=reply_address(1).upper())) == ReplyMatch("envelope", 1)

    def test_a_good_address_outweighs_a_bad_one(self):
        message = mail(f"To: reply+old@{DOMAIN}, {reply_address(3)}", envelope=f"reply+xyz@{DOMAIN}")
        assert match_reply(message) == ReplyMatch("To", 3)

    def test_in_reply_to_gives_the_metadata(self):
        assert match_reply(mail(f"In-Reply-To: {sealed({'order': 7})}")) == ReplyMatch(
            "In-Reply-To", metadata={"order": 7}
        )

    def test_references_are_read_from_the_newest(self):
        references = "\r\n ".join([sealed({"n": 1}), sealed({"n": 2}), "<other@example.org>"])
        message = mail("In-Reply-To: <other@example.org>", f"References: {references}")
        assert match_reply(message) == ReplyMatch("References", metadata={"n": 2})

    def test_an_address_counts_before_a_message_id(self):
        message = mail(f"In-Reply-To: {sealed({'n': 1})}", envelope=reply_address(4))
        assert match_reply(message) == ReplyMatch("envelope", 4)

    def test_a_bad_address_is_not_forgiven_for_a_good_message_id(self):
        # Else an expired address would go on working as long as the mail is quoted.
        message = mail(f"In-Reply-To: {sealed({'n': 1})}", envelope=f"reply+xyz@{DOMAIN}")
        with pytest.raises(ReplyTokenError):
            match_reply(message)

    def test_message_ids_count_without_a_reply_domain(self, settings):
        message = mail(f"In-Reply-To: {sealed({'n': 1})}", envelope=f"reply+xyz@{DOMAIN}")
        settings.ANYMAIL = {}
        assert match_reply(message).metadata == {"n": 1}

    @pytest.mark.parametrize(
        "message",
        [
            mail(),
            mail(envelope=f"reply@{DOMAIN}"),
            mail(envelope="reply+abc@elsewhere.example"),
            mail("To: undisclosed-recipients:;"),
            mail("In-Reply-To: <x@example.org>", "References: <y@example.org> junk <"),
        ],
        ids=["nothing", "no token", "another domain", "no address", "other Message-IDs"],
    )
    def test_other_mail_is_no_reply(self, message):
        assert match_reply(message) is None

    @pytest.mark.parametrize("text", ["abc", "a" * 31, "a" * 44, "!" * 31, "é" * 31])
    def test_a_bad_token_is_an_error(self, text):
        with pytest.raises(ReplyTokenError):
            match_reply(mail(envelope=f"reply+{text}@{DOMAIN}"))

    def test_purposes_are_apart(self):
        address = reply_address(1, purpose="unsubscribe")
        assert match_reply(mail(envelope=address), purpose="unsubscribe").object_id == 1
        with pytest.raises(ReplyTokenError):
            match_reply(mail(envelope=address))

    def test_a_million_addresses_are_not_all_tried(self):
        bad = ", ".join([f"reply+{'a' * 31}@{DOMAIN}"] * 50)
        with pytest.raises(ReplyTokenError):
            match_reply(mail(f"To: {bad}, {reply_address(1)}"))
        ids = " ".join(["<a@example.org>"] * 50)
        assert match_reply(mail(f"In-Reply-To: {ids} {sealed({'n': 1})}")) is None

    def test_a_message_made_by_hand_is_read_too(self):
        message = AnymailInboundMessage.construct(
            from_email="ann@example.org", to=reply_address(1), subject="x", text="y"
        )
        assert match_reply(message) == ReplyMatch("To", 1)


class TestSender:
    @pytest.fixture
    def user(self):
        return get_user_model().objects.create_user("ann", "Ann@Example.org")

    @pytest.mark.parametrize(
        ("headers", "matches"),
        [
            (["From: Ann Lee <ann@example.org>"], True),
            (["From: =?utf-8?q?=C3=84nn?= <ANN@EXAMPLE.ORG>"], True),
            (["From: Ann <eve@example.org>"], False),
            (['From: "ann@example.org" <eve@example.org>'], False),
            (["From: ann@example.org, eve@example.org"], False),
            (["From: ann@example.org", "From: eve@example.org"], False),
            (["From: <>"], False),
            (["From: " + "(" * 990], False),
            (["From: " + "x " * 600 + "<ann@example.org>"], False),
            ([], False),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_from_is_compared_with_the_user(self, user, headers, matches):
        match = match_reply(mail(*headers, envelope=reply_address(1, user)))
        assert match.sender_matches is matches

    def test_a_user_who_is_gone_does_not_match(self):
        assert match_reply(mail("From: <>", envelope=reply_address(1, 999))).sender_matches is False
        assert (
            match_reply(mail("From: a@b.example", envelope=reply_address(1, 2**64 - 1))).sender_matches
            is False
        )

    def test_a_user_without_an_address_does_not_match(self, user):
        get_user_model().objects.update(email="")
        assert match_reply(mail("From: <>", envelope=reply_address(1, user))).sender_matches is False

    def test_without_a_user_there_is_nothing_to_compare(self, user):
        assert match_reply(mail("From: ann@example.org", envelope=reply_address(1))).sender_matches is None

    def test_it_can_be_switched_off(self, settings, user):
        set_postal(settings, reply_sender_check="off")
        match = match_reply(mail("From: ann@example.org", envelope=reply_address(1, user)))
        assert match.sender_matches is None


@pytest.mark.parametrize(
    "piece", ['"', '"""', "\\", "a ", ",", "(", "<", "<a@b>", "reply+", "reply+x@r.example.org "]
)
@pytest.mark.parametrize("name", ["From", "To", "References", "In-Reply-To"])
def test_no_header_takes_long(name, piece):
    get_user_model().objects.create(pk=7, email="ann@example.org", username="ann")
    message = mail(f"{name}: {piece * (64_000 // len(piece))}", envelope=reply_address(1, 7))
    started = time.process_time()
    assert match_reply(message).object_id == 1
    is_answer(message)
    assert time.process_time() - started < 0.5  # ten times what is promised


def test_a_project_without_users_can_use_user_ids(settings):
    settings.AUTH_USER_MODEL = "elsewhere.User"
    assert match_reply(mail("From: ann@example.org", envelope=reply_address(1, 2))).sender_matches is False


@pytest.mark.parametrize(
    ("headers", "envelope", "sender", "automatic"),
    [
        (["Auto-Submitted: auto-replied"], "x@example.org", "ann@example.org", True),
        ([], "x@example.org", None, True),
        ([], "x@example.org", "", True),
        ([], "x@example.org", "ann@example.org", False),
        ([], None, None, False),
    ],
    ids=["header", "null sender", "empty sender", "person", "no envelope known"],
)
def test_automatic_mail_is_marked(headers, envelope, sender, automatic):
    message = mail(f"To: {reply_address(1)}", *headers, envelope=envelope, sender=sender)
    assert match_reply(message).is_auto_response is automatic


class TestSignals:
    @pytest.fixture
    def sent(self):
        """The signals sent, by name, with their arguments."""
        calls = []

        def received(**arguments):
            calls.append(("received", arguments))

        def rejected(**arguments):
            calls.append(("rejected", arguments))

        signals.reply_received.connect(received)
        signals.reply_rejected.connect(rejected)
        yield calls
        signals.reply_received.disconnect(received)
        signals.reply_rejected.disconnect(rejected)

    def arrive(self, message, esp_name="Postal", **facts):
        event = AnymailInboundEvent(event_type="inbound", message=message)
        if facts:
            event.postal = inbound_mail.PostalInbound(id=1, **facts)
        inbound.send(sender=TestSignals, event=event, esp_name=esp_name)
        return event

    def test_a_reply_is_received(self, sent):
        message = mail(envelope=reply_address(5))
        event = self.arrive(message)
        [(name, arguments)] = sent
        assert name == "received"
        assert arguments["match"] == ReplyMatch("envelope", 5)
        assert (arguments["message"], arguments["event"]) == (message, event)
        assert (arguments["sender"], arguments["reason"]) == (TestSignals, None)

    def test_a_reply_to_a_sealed_message_id_is_received(self, sent):
        self.arrive(mail(f"In-Reply-To: {sealed({'order': 7})}"))
        assert [(name, arguments["match"].metadata) for name, arguments in sent] == [
            ("received", {"order": 7})
        ]

    def test_other_mail_sends_nothing(self, sent):
        self.arrive(mail(envelope="info@example.org"))
        assert sent == []

    def test_a_bad_token_is_rejected(self, sent):
        self.arrive(mail(envelope=f"reply+bad@{DOMAIN}"))
        [(name, arguments)] = sent
        assert (name, arguments["match"], arguments["reason"]) == ("rejected", None, "token")

    def test_automatic_mail_is_rejected(self, sent):
        self.arrive(mail("Auto-Submitted: auto-replied", envelope=reply_address(5)))
        [(name, arguments)] = sent
        assert (name, arguments["match"].object_id, arguments["reason"]) == ("rejected", 5, "auto_response")

    def test_postal_knows_bounces_better(self, sent):
        self.arrive(mail(envelope=reply_address(5)), is_auto_response=True)
        [(name, arguments)] = sent
        assert (name, arguments["match"].is_auto_response) == ("rejected", True)

    @pytest.mark.parametrize(
        ("check", "address", "name"),
        [
            ("flag", "eve@example.org", "received"),
            ("off", "eve@example.org", "received"),
            ("require", "eve@example.org", "rejected"),
            ("require", "ann@example.org", "received"),
        ],
    )
    def test_the_sender_can_be_insisted_on(self, sent, settings, check, address, name):
        set_postal(settings, reply_sender_check=check)
        user = get_user_model().objects.create_user("ann", "ann@example.org")
        self.arrive(mail(f"From: {address}", envelope=reply_address(5, user)))
        assert [each for each, _ in sent] == [name]
        assert sent[0][1]["reason"] == ("sender" if name == "rejected" else None)

    def test_the_server_of_the_event_counts(self, sent):
        self.arrive(mail(envelope=reply_address(5, server="eu")), server="eu")
        assert [name for name, _ in sent] == ["received"]

    def test_mail_from_other_services_is_not_ours(self, sent):
        self.arrive(mail(envelope=reply_address(5)), esp_name="Mailgun")
        assert sent == []

    def test_connecting_twice_sends_once(self, sent):
        replies.connect()
        self.arrive(mail(envelope=reply_address(5)))
        assert len(sent) == 1

    def test_an_exception_of_a_receiver_reaches_the_view(self):
        def fail(**arguments):
            raise RuntimeError("receiver")

        signals.reply_received.connect(fail)
        try:
            with pytest.raises(RuntimeError, match="receiver"):
                self.arrive(mail(envelope=reply_address(5)))
        finally:
            signals.reply_received.disconnect(fail)


def test_our_own_automatic_mail_says_so():
    message = mail(*(f"{name}: {value}" for name, value in auto_headers().items()), envelope=reply_address(1))
    assert match_reply(message).is_auto_response


def test_a_project_without_the_app_connects_by_itself():
    code = """
import django
from django.conf import settings
settings.configure(ANYMAIL={"POSTAL_REPLY_DOMAIN": "r.example.org"}, SECRET_KEY="s" * 40)
django.setup()
from anymail.inbound import AnymailInboundMessage
from anymail.signals import AnymailInboundEvent, inbound
from anymail_postal.replies import connect, reply_address
from anymail_postal.signals import reply_received
got = []
def receiver(match, **kwargs): got.append(match.object_id)
reply_received.connect(receiver)
def arrive():
    message = AnymailInboundMessage.construct(to=reply_address(3))
    inbound.send(None, event=AnymailInboundEvent(event_type="inbound", message=message), esp_name="Postal")
arrive()
assert got == [], got
connect()
arrive()
assert got == [3], got
"""
    subprocess.run([sys.executable, "-c", code], check=True)
