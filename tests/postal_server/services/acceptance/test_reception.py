import time

import pytest

from postal_server.errors import (
    AuthenticationRequired,
    InvalidRouteToken,
    InvalidServerToken,
    LoopDetected,
    RouteRejects,
    ServerSuspended,
)
from postal_server.models import AdditionalRouteEndpoint, Domain, HTTPEndpoint, Route, Server, SMTPEndpoint
from postal_server.rules.status import CredentialType
from postal_server.services.acceptance import reception
from postal_server.services.shared import credential, token
from tests.each import each
from tests.postal_server.services.conftest import NOW

RAW = b"Received: from x by mx with SMTP; now\r\nSubject: Hi\r\nMessage-ID: <a@b.example>\r\n\r\nHello\r\n"


@pytest.fixture
def routes(world):
    http = HTTPEndpoint.objects.create(server=world.server, name="in", url="http://h.example/in")
    smtp = SMTPEndpoint.objects.create(server=world.server, name="s", hostname="mx.dest.example")
    make = Route.objects.create
    wild = Domain.objects.create(server=world.server, name="wild.test", verified_at=NOW)
    made = {
        "in": make(server=world.server, domain=world.domain, name="in", http_endpoint=http, token="PFidnp7X"),
        "reject": make(server=world.server, domain=world.domain, name="reject", mode="Reject"),
        "hold": make(server=world.server, domain=world.domain, name="hold", mode="Hold"),
        "wild": make(server=world.server, domain=wild, name="*", http_endpoint=http, token="wildTokn"),
    }
    AdditionalRouteEndpoint.objects.create(route=made["in"], smtp_endpoint=smtp)
    return made


@pytest.fixture
def accept(world, routes, config):
    credential.create(world.server, CredentialType.SMTP_IP, "lan", network="192.0.2.0/24")
    _, key = credential.create(world.server, CredentialType.SMTP, "smtp")
    directory = world.directory()

    def call(address, authenticated=False, client="198.51.100.1"):
        who = directory.smtp_credential(key) if authenticated else None
        return reception.accept_recipient(address, who, client, directory, config)

    return call


@each(
    "address, authenticated, refusal",
    [
        ("zzzzzz@rp.postal.example.test", False, InvalidServerToken),
        ("zzzzzz@psrp.whatever.example", True, InvalidServerToken),
        ("s8halm+aaaaaaaaaaaaaaaa@rp.postal.example.test", False, InvalidServerToken),
        ("bounces+s8halm-aaaaaaaaaaaaaaaa@rp.postal.example.test", False, InvalidServerToken),
        ("bounces+s8halm-aaaaaaaaaaaaaaaa@psrp.example.test", False, InvalidServerToken),
        ("s8halm@psrp.whatever.example", False, InvalidServerToken),
        ("nosuch@routes.postal.example.test", True, InvalidRouteToken),
        ("reject@example.test", False, RouteRejects),
        ("other@example.test", False, AuthenticationRequired),
        ("a@dest.example", False, AuthenticationRequired),
    ],
)
def test_what_is_refused(accept, address, authenticated, refusal):
    with pytest.raises(refusal):
        accept(address, authenticated)


@each(
    "address, authenticated, kind, rcpt_to, route",
    [
        ("in@example.test", False, "incoming", None, "in"),
        ("IN+abc.def@Example.test", False, "incoming", None, "in"),
        ("any.thing@wild.test", False, "incoming", None, "wild"),
        ("PFidnp7X@routes.postal.example.test", True, "incoming", "in@example.test", "in"),
        ("PFidnp7X+t@routes.postal.example.test", False, "incoming", "in+t@example.test", "in"),
        ("wildTokn@routes.postal.example.test", False, "incoming", "*@wild.test", "wild"),
        ("s8halm@rp.postal.example.test", False, "bounce", None, None),
        ("s8halm@psrp.example.test", True, "bounce", None, None),
        ("in@example.test", True, "outgoing", None, None),
        ("a@dest.example", True, "outgoing", None, None),
        ("postmaster@example.test", False, "incoming", None, None),
        ("Abuse@wild.test", False, "incoming", None, "wild"),
        ('"in+a b"@example.test', False, "incoming", None, "in"),
        ('"any@thing"@wild.test', False, "incoming", None, "wild"),
        ("postmaster", False, "incoming", "postmaster@mx.postal.example.test", None),
        ("PostMaster", True, "incoming", "PostMaster@mx.postal.example.test", None),
    ],
)
def test_who_gets_what(accept, routes, address, authenticated, kind, rcpt_to, route):
    recipient = accept(address, authenticated)
    assert (recipient.kind, recipient.rcpt_to) == (kind, rcpt_to or address)
    assert (recipient.route and recipient.route.id) == (route and routes[route].pk)
    assert (recipient.credential is not None) is (kind == "outgoing")


def test_a_domain_is_found_in_any_spelling(world, routes, config):
    domain = Domain.objects.create(server=world.server, name="xn--bcher-kva.test", verified_at=NOW)
    route = Route.objects.create(server=world.server, domain=domain, name="in", mode="Accept")
    directory = world.directory()
    for spelling in ("in@BÜCHER.test", "in@xn--bcher-kva.TEST.", "in@bücher。test"):
        assert (
            reception.accept_recipient(spelling, None, "198.51.100.1", directory, config).route.id == route.pk
        )
    server = directory.servers[world.server.pk]
    assert directory.authorized_domain(server, "x@Bücher.test").id == domain.pk


def test_the_hosts_postmaster_is_where_his_domain_is_else_at_the_oldest_server(world, routes, config):
    def postmaster():
        return reception.accept_recipient("postmaster", None, "198.51.100.1", world.directory(), config)

    assert postmaster().server.id == world.server.pk
    domain = Domain.objects.create(server=world.server, name=config.postal.smtp_hostname, verified_at=NOW)
    assert postmaster().domain_id == domain.pk
    Server.objects.update(suspended_at=NOW)
    Domain.objects.filter(pk=domain.pk).delete()
    with pytest.raises(AuthenticationRequired):
        postmaster()


@each("domain", ["rp.postal.example.test", "psrp.example.test"])
@each("local", ["bounces+s8halm-{}", "s8halm+{}", "s8halm"])
def test_every_form_of_return_path_is_taken_from_whoever_suspended_servers_included(
    world, accept, config, local, domain
):
    address = f"{local.format(token.message_token(7))}@{domain}"
    for authenticated in (False, True):
        recipient = accept(address, authenticated)
        assert (recipient.kind, recipient.rcpt_to) == ("bounce", address)
    Server.objects.update(suspended_at=NOW)
    recipient = reception.accept_recipient(address, None, "::1", world.directory(), config)
    assert (recipient.kind, recipient.server.id) == ("bounce", world.server.pk)


def test_a_clients_address_authenticates_for_what_has_no_route(accept):
    assert accept("in@example.test", client="192.0.2.5").kind == "incoming"
    recipient = accept("a@dest.example", client="192.0.2.5")
    assert (recipient.kind, recipient.credential.type) == ("outgoing", CredentialType.SMTP_IP)


@each(
    "address, authenticated",
    [
        ("PFidnp7X@routes.postal.example.test", False),
        ("a@dest.example", True),
        ("in@example.test", False),
        ("postmaster@example.test", False),
    ],
)
def test_a_suspended_server_takes_nothing_else(world, routes, config, address, authenticated):
    Server.objects.update(suspended_at=NOW)
    _, key = credential.create(world.server, CredentialType.SMTP, "smtp")
    directory = world.directory()
    with pytest.raises(ServerSuspended):
        reception.accept_recipient(
            address, directory.smtp_credential(key) if authenticated else None, "::1", directory, config
        )


def test_half_a_character_in_a_subject_can_be_stored(accept, routes):
    raw = RAW.replace(b"Subject: Hi", b"Subject: =?utf-7?Q?+2AA-x?=")
    [accepted] = reception.accept_message([accept("in@example.test")], raw, None, received_with_ssl=False)
    assert accepted.subject.encode() == "\ufffdx".encode()


def test_a_subject_without_end_is_kept_as_it_came(accept, routes):
    """Decoding it would hold up all others: nobody waits longer for one of 250 KB."""
    text = "=?utf-8?q?x?= " * 18_000
    raw = b"Received: x\r\nSubject: %s\r\n\r\nbody" % text.encode()
    started = time.process_time()
    [accepted] = reception.accept_message([accept("in@example.test")], raw, None, received_with_ssl=False)
    assert time.process_time() - started < 0.05
    assert accepted.subject == text.strip()


def test_every_endpoint_of_a_route_gets_a_message(accept, routes):
    [accepted] = reception.accept_message([accept("in@example.test")], RAW, None, received_with_ssl=False)
    assert (accepted.subject, accepted.message_id, accepted.mail_from) == ("Hi", "a@b.example", None)
    assert accepted.received_with_ssl is None
    http, smtp = accepted.messages
    assert http.destination == f"http:{http.endpoint_id}"
    assert smtp.destination == f"smtp:{smtp.endpoint_id}"
    assert {m.route_id for m in accepted.messages} == {routes["in"].pk}


def test_what_has_no_endpoint_is_decided_here(accept):
    recipients = [
        accept("hold@example.test"),
        accept("s8halm@rp.postal.example.test"),
        accept("postmaster@example.test"),
    ]
    [accepted] = reception.accept_message(recipients, RAW, "a@b.example", received_with_ssl=True)
    assert [m.destination for m in accepted.messages] == ["local"] * 3
    assert [m.is_bounce for m in accepted.messages] == [False, True, False]
    assert accepted.received_with_ssl is True


def test_reports_go_through_the_return_path_route(world, routes, config):
    route = Route.objects.create(
        server=world.server, name="__returnpath__", http_endpoint=HTTPEndpoint.objects.get(), token="rpTokenX"
    )
    directory = world.directory()
    recipient = reception.accept_recipient("s8halm@rp.postal.example.test", None, "::1", directory, config)
    [accepted] = reception.accept_message([recipient], RAW, None, received_with_ssl=False)
    assert [(m.route_id, m.is_bounce, m.endpoint_type) for m in accepted.messages] == [
        (route.pk, True, "HTTPEndpoint")
    ]
    with pytest.raises(InvalidRouteToken):
        reception.accept_recipient("rpTokenX@routes.postal.example.test", None, "::1", directory, config)


def test_each_server_gets_a_submission_of_its_own(world, routes, config):
    other = Server.objects.create(organization=world.organization, name="O", permalink="o", token="othert")
    directory = world.directory()
    recipients = [
        reception.accept_recipient(f"{name}@rp.postal.example.test", None, "::1", directory, config)
        for name in ("s8halm", "othert", "s8halm")
    ]
    submissions = reception.accept_message(recipients, RAW, None, received_with_ssl=False)
    assert [[m.server_id for m in a.messages] for a in submissions] == [[world.server.pk] * 2, [other.pk]]


@pytest.mark.parametrize(("times", "looping"), [(4, False), (5, True)])
def test_mail_that_came_through_here_five_times_is_a_loop(times, looping):
    line = b"Received: from a (a [192.0.2.1])\r\n\tby MX.example.test with SMTP; now\r\n"
    raw = line * times + b"Received: by other.test\r\n\r\nby mx.example.test\r\n"
    if looping:
        with pytest.raises(LoopDetected):
            reception.check_loop(raw, "mx.example.test")
    else:
        reception.check_loop(raw, "mx.example.test")


TEXT_PART = (
    b'Content-Type: multipart/report; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=%s\r\n\r\nx\r\n--b--"
)


@each(
    "subject, charset",
    [
        ("Недоставленное сообщение", "koi8-r"),
        ("Недоставленное сообщение", "windows-1251"),
        ("配信できません", "shift_jis"),
        ("配信できません", "euc-jp"),
        ("Wiadomość niedostarczona", '"ISO-8859-2"'),
        ("Zustellung fehlgeschlagen: Grüße €", "windows-1252"),
    ],
)
@each("address", ["s8halm@rp.postal.example.test", "s8halm@psrp.example.test"])
def test_an_8_bit_subject_of_a_report_is_in_the_charset_of_its_text(accept, address, subject, charset):
    raw = b"Subject: %s\r\n" % subject.encode(charset.strip('"')) + TEXT_PART % charset.encode()
    [accepted] = reception.accept_message([accept(address)], raw, None, received_with_ssl=False)
    assert accepted.subject == subject


@each(
    "data, label",
    [
        ("Grüße".encode(), b"koi8-r"),
        (b"Gr\xfc\xdfe", b"us-ascii"),
        (b"Gr\xfc\xdfe", b"utf-8"),
        (b"Gr\xfc\xdfe", b"utf-16"),
        (b"Gr\xfc\xdfe", b"utf-7"),
        (b"Gr\xfc\xdfe", b"shift_jis"),
        (b"Gr\xfc\xdfe", b"no-such-charset"),
        (b"Gr\xfc\xdfe", b""),
    ],
)
def test_utf_8_comes_before_that_and_windows_1252_where_it_does_not_fit(accept, data, label):
    raw = b"Subject: %s\r\n" % data + TEXT_PART % label
    recipient = accept("s8halm@rp.postal.example.test")
    [accepted] = reception.accept_message([recipient], raw, None, received_with_ssl=False)
    assert accepted.subject == "Grüße"


@pytest.mark.parametrize(
    "body", [b"--b\r\n\r\n" * 4_000_000, b"--b\r\nContent-Type: a/b\r\n\r\n" * 1_000_000, b"x" * 40_000_000]
)
def test_the_charset_is_looked_for_in_the_beginning_only(accept, body):
    raw = b'Subject: \xfc\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + body
    recipient = accept("s8halm@rp.postal.example.test")
    started = time.process_time()
    [accepted] = reception.accept_message([recipient], raw, None, received_with_ssl=False)
    assert time.process_time() - started < 0.3
    assert accepted.subject == "ü"


@each("value", [b"Gr\xc3\xbc\xc3\x9fe", b"=?latin1?q?Gr=FC=DFe?=", b"Gr\xfc\xdfe", b"Gr\xfc\0\xdfe"])
def test_a_subject_is_read_whatever_its_bytes_are(accept, value):
    raw = b"Subject: " + value + b"\r\nMessage-ID: <a\0\xfc@b.example>\r\n\r\nHello\r\n"
    [accepted] = reception.accept_message([accept("hold@example.test")], raw, None, received_with_ssl=False)
    assert (accepted.subject, accepted.message_id) == ("Grüße", "aü@b.example")
