from __future__ import annotations

import asyncio
import hashlib
import ssl
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from postal_server.engine.ports import KeptPolicy, Lookup, Stage, Target
from postal_server.transports.http.pool import HttpPool
from postal_server.transports.smtp import policy as policies
from postal_server.transports.smtp.connect import Connector, MxHosts
from postal_server.transports.smtp.policy import MtaSts, PolicyUnavailable, TlsPolicies, policy_fetcher
from postal_server.transports.smtp.pool import SmtpPool
from tests.certificates import server_context, trusting, write_certificate
from tests.fakes import FakeResolver, mail
from tests.loops import LOOPS, run

from .scripted import EHLO, Scripted

EHLO_TLS = EHLO.replace("250 SIZE", "250-STARTTLS\r\n250 SIZE")
RECORD = ["v=STSv1; id=1;"]


def policy_text(mode="enforce", mx="mx.dest.example", max_age=3600):
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n".encode()


class Site:
    """Answers fetches: a text, or what is raised. `urls` are those that were asked for."""

    def __init__(self, answer=None):
        self.answer = policy_text() if answer is None else answer
        self.urls = []

    async def __call__(self, url):
        self.urls.append(url)
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def zone(port=0, *, sts=True, tlsa=None, **more):
    found = {"dest.example": {"MX": ["mx.dest.example"]}, "mx.dest.example": {"A": ["127.0.0.1"]}}
    if sts:
        found["_mta-sts.dest.example"] = {"TXT": RECORD}
    if tlsa is not None:
        found[f"_{port}._tcp.mx.dest.example"] = tlsa if isinstance(tlsa, Lookup) else {"TLSA": tlsa}
    return {**found, **more}


def send(
    host, *, site=None, secure=False, sts=True, tlsa=None, letter=None, more=None, loop="asyncio", **connector
):
    """What becomes of a mail to a host with these policies; `more` of the zone, by the host's port."""

    async def work():
        async with host:
            names = zone(host.port, sts=sts, tlsa=tlsa, **(more(host.port) if more else {}))
            resolver = FakeResolver(names, secure=list(names) if secure else ())
            sender = SmtpPool(
                Connector(
                    MxHosts(resolver, host.port),
                    resolver,
                    lambda source: "us.example",
                    lambda host, address: True,
                    policies=TlsPolicies(resolver, MtaSts(resolver, site or Site()), dane=True),
                    **connector,
                )
            )
            result = await sender.send(letter or mail())
            await sender.close()
            return result

    return run(work(), loop)


def key_digest(certificate):
    key = x509.load_pem_x509_certificate(certificate[0].read_bytes()).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def counted(result):
    return [(s.policy_type, s.failure, s.host) for s in result.tls_sessions]


class TestMtaSts:
    @pytest.mark.parametrize("loop", LOOPS)
    def test_enforced_and_verified(self, certificate, loop):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        result = send(host, loop=loop, verifying=trusting(certificate[0]))
        assert result.is_delivered
        assert str(result.tls) == "TLSv1.3 (MTA-STS), certificate verified"
        assert counted(result) == [("sts", "", "mx.dest.example")]
        [session] = result.tls_sessions
        assert session.policy == (
            "version: STSv1",
            "mode: enforce",
            "mx: mx.dest.example",
            "max_age: 3600",
        )
        assert (session.domain, session.hosts, session.address) == (
            "dest.example",
            ("mx.dest.example",),
            "127.0.0.1",
        )

    def test_enforced_and_not_verified_is_not_sent(self, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        result = send(host)
        assert result.stage is Stage.CONNECT
        assert [(a.error, a.policy) for a in result.tried] == [
            ("MTA-STS: self-signed certificate", "MTA-STS")
        ]
        assert host.received == []
        assert counted(result) == [("sts", "certificate-not-trusted", "mx.dest.example")]

    def test_enforced_and_the_certificate_is_another_host_s(self, tmp_path):
        other = write_certificate(tmp_path, "mx.other.example")
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(other))
        result = send(host, verifying=trusting(other[0]))
        assert host.received == []
        assert counted(result) == [("sts", "certificate-host-mismatch", "mx.dest.example")]

    @pytest.mark.parametrize(
        ("answers", "ehlo"),
        [({}, EHLO), ({"STARTTLS": "454 not now"}, EHLO_TLS)],
        ids=["not offered", "refused"],
    )
    def test_enforced_and_no_starttls_is_not_sent(self, answers, ehlo):
        host = Scripted(answers, ehlo=ehlo)
        result = send(host)
        assert host.received == []
        assert counted(result) == [("sts", "starttls-not-supported", "mx.dest.example")]

    def test_enforced_and_another_host_is_not_even_spoken_to(self):
        host = Scripted(ehlo=EHLO)
        result = send(host, site=Site(policy_text(mx="mail.dest.example")))
        assert host.connections == []
        [attempt] = result.tried
        assert attempt.error == "MTA-STS: mx.dest.example is not among the hosts of dest.example's policy"
        assert counted(result) == [("sts", "validation-failure", "mx.dest.example")]

    @pytest.mark.parametrize(
        ("policy", "failure"),
        [
            (policy_text("testing"), "certificate-not-trusted"),
            (policy_text("testing", mx="mail.dest.example"), "certificate-not-trusted"),
        ],
    )
    def test_testing_is_sent_and_counted(self, certificate, policy, failure):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        result = send(host, site=Site(policy))
        assert result.is_delivered
        assert str(result.tls) == "TLSv1.3 (MTA-STS), certificate not verified: self-signed certificate"
        assert counted(result) == [("sts", failure, "mx.dest.example")]

    def test_testing_with_another_host_is_sent_and_counted(self, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        result = send(
            host, site=Site(policy_text("testing", mx="a.example")), verifying=trusting(certificate[0])
        )
        assert result.is_delivered
        assert counted(result) == [("sts", "validation-failure", "mx.dest.example")]

    @pytest.mark.parametrize(
        ("site", "sts", "count"),
        [
            (Site(policy_text("none")), True, ("no-policy-found", "starttls-not-supported")),
            (Site(), False, ("no-policy-found", "starttls-not-supported")),
            (Site(b"no policy"), True, ("sts", "sts-policy-invalid")),
            (Site(PolicyUnavailable("sts-webpki-invalid", "expired")), True, ("sts", "sts-webpki-invalid")),
        ],
        ids=["mode none", "no record", "invalid", "not to be had"],
    )
    def test_without_a_policy_anything_goes(self, site, sts, count):
        result = send(Scripted(ehlo=EHLO), site=site, sts=sts)
        assert result.is_delivered
        assert counted(result) == [(*count, "mx.dest.example")]

    def test_mail_for_which_tls_is_optional_ignores_the_policy(self):
        letter = mail(target=Target("dest.example", tls_optional=True))
        result = send(Scripted(ehlo=EHLO), letter=letter)
        assert result.is_delivered
        assert result.tls_sessions == ()

    def test_a_host_that_somebody_named_has_no_policy(self):
        target = Target("dest.example", host="mx.dest.example")
        result = send(Scripted(ehlo=EHLO), letter=mail(target=target))
        assert result.is_delivered
        assert result.tls_sessions == ()


class Store:
    """Keeps policies, as a database would."""

    def __init__(self, *kept):
        self.kept = list(kept)
        self.is_away = False

    async def load(self):
        return None if self.is_away else list(self.kept)

    async def save(self, policy):
        self.kept.append(policy)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class TestCache:
    @pytest.fixture
    def clock(self):
        return Clock()

    def ask(self, sts, *, then=None):
        async def work():
            first = await sts.policy("dest.example")
            if then is None:
                return first
            then()
            return first, await sts.policy("dest.example")

        return run(work())

    @pytest.mark.parametrize(("seconds", "fetches"), [(3599, 1), (3600, 2)])
    def test_a_policy_is_kept_for_its_age(self, clock, seconds, fetches):
        site = Site()
        sts = MtaSts(FakeResolver(zone()), site, clock)
        first, second = self.ask(sts, then=lambda: setattr(clock, "now", seconds))
        assert first == second
        assert len(site.urls) == fetches

    def test_a_new_id_brings_a_new_policy(self, clock):
        site, resolver = Site(), FakeResolver(zone())

        def change():
            resolver.zone["_mta-sts.dest.example"] = {"TXT": ["v=STSv1; id=2"]}
            site.answer = policy_text("testing")

        first, second = self.ask(MtaSts(resolver, site, clock), then=change)
        assert (first.sts.mode.value, second.sts.mode.value) == ("enforce", "testing")

    @pytest.mark.parametrize("how", ["record gone", "record unknown", "fetch fails", "policy invalid"])
    def test_a_known_policy_holds_although_its_source_is_gone(self, clock, how):
        site, resolver = Site(), FakeResolver(zone())

        def tamper():
            name = "_mta-sts.dest.example"
            if how == "record gone":
                del resolver.zone[name]
            elif how == "record unknown":
                resolver.zone[name] = Lookup.TIMED_OUT
            else:
                resolver.zone[name] = {"TXT": ["v=STSv1; id=2"]}
                site.answer = (
                    b"" if how == "policy invalid" else PolicyUnavailable("sts-policy-fetch-error", "x")
                )

        first, second = self.ask(MtaSts(resolver, site, clock), then=tamper)
        assert second.sts == first.sts is not None

    @pytest.mark.parametrize(("seconds", "fetches"), [(299, 1), (300, 2)])
    def test_a_failed_fetch_is_not_tried_again_at_once(self, clock, seconds, fetches):
        site = Site(PolicyUnavailable("sts-policy-fetch-error", "no answer"))
        sts = MtaSts(FakeResolver(zone()), site, clock)
        _, second = self.ask(sts, then=lambda: setattr(clock, "now", seconds))
        assert (second.sts, second.failure, second.reason) == (None, "sts-policy-fetch-error", "no answer")
        assert len(site.urls) == fetches

    def test_many_mails_wait_for_one_fetch(self, clock):
        site = Site()
        sts = MtaSts(FakeResolver(zone()), site, clock)

        async def work():
            return await asyncio.gather(*(sts.policy("dest.example") for _ in range(20)))

        assert {found.sts.mode.value for found in run(work())} == {"enforce"}
        assert site.urls == ["https://mta-sts.dest.example/.well-known/mta-sts.txt"]

    DAY = 86_400

    @pytest.mark.parametrize("record", ["same", "gone"])
    def test_a_policy_that_is_a_day_old_is_fetched_again_in_the_background(self, clock, record):
        """RFC 8461 section 10.2."""
        site, resolver = Site(policy_text(max_age=7 * self.DAY)), FakeResolver(zone())
        sts = MtaSts(resolver, site, clock)

        async def work():
            await sts.policy("dest.example")
            site.answer = policy_text("testing", max_age=7 * self.DAY)
            if record == "gone":
                del resolver.zone["_mta-sts.dest.example"]
            clock.now = self.DAY
            old = await sts.policy("dest.example")
            await asyncio.sleep(0.01)
            return old, await sts.policy("dest.example")

        old, new = run(work())
        assert (old.sts.mode.value, new.sts.mode.value) == ("enforce", "testing")
        assert len(site.urls) == 2

    def test_one_that_cannot_be_fetched_again_holds_and_is_not_asked_for_at_once(self, clock):
        site = Site(policy_text(max_age=7 * self.DAY))
        sts = MtaSts(FakeResolver(zone()), site, clock)

        async def work():
            await sts.policy("dest.example")
            site.answer = PolicyUnavailable("sts-policy-fetch-error", "no answer")
            clock.now = self.DAY
            for _ in range(3):
                found = await sts.policy("dest.example")
                await asyncio.sleep(0.01)
            return found

        found = run(work())
        assert (found.sts.mode.value, found.failure) == ("enforce", "")
        assert len(site.urls) == 2

    def test_a_restart_forgets_no_policy(self, clock):
        store, names = Store(), FakeResolver(zone())
        self.ask(MtaSts(names, Site(policy_text(max_age=7 * self.DAY)), clock, store))
        [kept] = store.kept
        assert (kept.domain, kept.record_id) == ("dest.example", "1")
        assert kept.expires_at - kept.fetched_at == timedelta(days=7)

        del names.zone["_mta-sts.dest.example"]
        found = self.ask(
            MtaSts(names, Site(PolicyUnavailable("sts-policy-fetch-error", "x")), Clock(), store)
        )
        assert found.sts.mode.value == "enforce"
        assert found.sts.patterns == ("mx.dest.example",)

    @pytest.mark.parametrize(("age", "mode"), [(6.9, "enforce"), (7, None)])
    def test_a_kept_policy_ends_with_its_age(self, clock, age, mode):
        text = policy_text(max_age=7 * self.DAY).decode()
        fetched_at = datetime.now(timezone.utc) - timedelta(days=age)
        store = Store(KeptPolicy("dest.example", "1", text, fetched_at, fetched_at + timedelta(days=7)))
        found = self.ask(MtaSts(FakeResolver(), Site(b""), clock, store))
        assert (found.sts.mode.value if found.sts else None) == mode

    def test_a_kept_policy_that_is_none_is_passed_over(self, clock):
        now = datetime.now(timezone.utc)
        store = Store(KeptPolicy("dest.example", "1", "nonsense", now, now + timedelta(days=7)))
        assert self.ask(MtaSts(FakeResolver(), Site(), clock, store)).sts is None

    def test_a_store_that_cannot_be_read_is_read_again(self, clock):
        now = datetime.now(timezone.utc)
        text = policy_text(max_age=7 * self.DAY).decode()
        store = Store(KeptPolicy("dest.example", "1", text, now, now + timedelta(days=7)))
        store.is_away = True
        sts = MtaSts(FakeResolver(), Site(), clock, store)
        first, second = self.ask(sts, then=lambda: setattr(store, "is_away", False))
        assert (first.sts, second.sts.mode.value) == (None, "enforce")

    def test_memory_is_bounded(self, clock, monkeypatch):
        monkeypatch.setattr(policies, "MAX_CACHED", 3)
        names = {f"_mta-sts.d{n}.example": {"TXT": RECORD} for n in range(10)}
        sts = MtaSts(FakeResolver(names), Site(), clock)

        async def work():
            for n in range(10):
                await sts.policy(f"d{n}.example")

        run(work())
        assert len(sts._cached) == 3


class TestFetch:
    """Over real TLS: `mta-sts.dest.example` is on loopback here."""

    @pytest.fixture
    def web(self, tmp_path):
        return write_certificate(tmp_path, "mta-sts.dest.example")

    def fetch(self, answer, web, *, knows=True, permits=lambda host, address: True):
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        async def lookup(host):
            return ["127.0.0.1"]

        async def work():
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(web))
            port = server.sockets[0].getsockname()[1]
            verifying = trusting(web[0]) if knows else ssl.create_default_context()
            pool = HttpPool(permits, lookup, tls_context=verifying)
            try:
                return await policy_fetcher(pool)(
                    f"https://mta-sts.dest.example:{port}/.well-known/mta-sts.txt"
                )
            finally:
                await pool.close()
                server.close()

        return run(work())

    def test_a_policy_is_fetched(self, web):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        assert self.fetch(head + policy_text(), web) == policy_text()

    @pytest.mark.parametrize(
        ("answer", "failure"),
        [
            (b"HTTP/1.1 404 Not ResolvedHosts\r\nContent-Type: text/plain\r\n\r\n", "sts-policy-fetch-error"),
            (b"HTTP/1.1 301 Moved\r\nLocation: https://a.example/\r\n\r\n", "sts-policy-fetch-error"),
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>", "sts-policy-invalid"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * 70_000,
                "sts-policy-invalid",
            ),
            (b"not HTTP\r\n\r\n", "sts-policy-fetch-error"),
            (b"", "sts-policy-fetch-error"),
        ],
        ids=["404", "redirect", "HTML", "large", "garbage", "nothing"],
    )
    def test_what_is_no_policy_is_one_exception(self, web, answer, failure):
        with pytest.raises(PolicyUnavailable) as caught:
            self.fetch(answer, web)
        assert caught.value.failure == failure

    def test_a_certificate_that_does_not_verify(self, web):
        with pytest.raises(PolicyUnavailable) as caught:
            self.fetch(b"", web, knows=False)
        assert caught.value.failure == "sts-webpki-invalid"

    def test_a_private_address_is_not_asked(self, web):
        with pytest.raises(PolicyUnavailable, match="an address that may not be"):
            self.fetch(b"", web, permits=lambda host, address: False)


class TestDane:
    @pytest.mark.parametrize("loop", LOOPS)
    def test_a_certificate_that_a_record_names(self, certificate, loop):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        result = send(host, secure=True, tlsa=[f"3 1 1 {key_digest(certificate)}"], loop=loop)
        assert result.is_delivered
        assert str(result.tls) == "TLSv1.3 (DANE), certificate verified"
        [session] = result.tls_sessions
        assert (session.policy_type, session.policy) == ("tlsa", (f"3 1 1 {key_digest(certificate)}",))

    def test_one_that_no_record_names_is_not_sent_to(self, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        result = send(host, secure=True, tlsa=["3 1 1 " + "ab" * 32])
        assert host.received == []
        assert len(host.connections) == 1
        [attempt] = result.tried
        assert attempt.error == "DANE: the certificate matches no TLSA record"
        assert counted(result) == [("tlsa", "validation-failure", "mx.dest.example")]

    def test_starttls_is_required(self):
        host = Scripted(ehlo=EHLO)
        result = send(host, secure=True, tlsa=["3 1 1 " + "ab" * 32])
        assert host.received == []
        assert counted(result) == [("tlsa", "starttls-not-supported", "mx.dest.example")]

    def test_without_a_usable_record_it_is_encrypted_with_any_host(self, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        result = send(host, secure=True, tlsa=["0 0 1 " + "ab" * 32], sts=False)
        assert result.is_delivered
        assert str(result.tls) == "TLSv1.3 (DANE), certificate not verified: no usable TLSA record"

    def test_answers_that_are_not_validated_are_not_believed(self):
        host = Scripted(ehlo=EHLO)
        result = send(host, secure=False, tlsa=["3 1 1 " + "ab" * 32], sts=False)
        assert result.is_delivered
        assert counted(result) == [("no-policy-found", "starttls-not-supported", "mx.dest.example")]

    @pytest.mark.parametrize("lookup", [Lookup.FAILED, Lookup.TIMED_OUT])
    def test_records_that_somebody_hides_are_no_reason_to_do_without(self, lookup):
        host = Scripted(ehlo=EHLO)
        result = send(host, secure=True, tlsa=lookup)
        assert host.connections == []
        assert counted(result) == [("tlsa", "dnssec-invalid", "mx.dest.example")]

    @staticmethod
    def alias(tlsa):
        """The MX host is an alias, and these are the TLSA records of what it stands for."""
        return lambda port: {
            "mx.dest.example": {"CNAME": ["mail.host.example"]},
            "mail.host.example": {"A": ["127.0.0.1"]},
            f"_{port}._tcp.mail.host.example": tlsa if isinstance(tlsa, Lookup) else {"TLSA": tlsa},
        }

    def test_an_alias_has_the_records_of_what_it_stands_for(self, tmp_path):
        """RFC 7672 section 2.2.2; the host is asked for its certificate for that name (section 3.2.2)."""
        host_certificate = write_certificate(tmp_path, "mail.host.example")
        context, asked = server_context(host_certificate), []
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        host = Scripted(ehlo=EHLO_TLS, tls=context)
        record = f"2 1 1 {key_digest(host_certificate)}"
        result = send(host, secure=True, sts=False, more=self.alias([record]))
        assert result.is_delivered
        assert str(result.tls) == "TLSv1.3 (DANE), certificate verified"
        assert counted(result) == [("tlsa", "", "mx.dest.example")]
        assert asked == ["mail.host.example"]

    def test_an_alias_without_them_has_its_own(self):
        host = Scripted(ehlo=EHLO)
        send(host, secure=True, tlsa=["3 1 1 " + "ab" * 32], sts=False, more=self.alias([]))
        assert host.received == []

    def test_records_of_what_an_alias_stands_for_are_not_hidden_either(self):
        host = Scripted(ehlo=EHLO)
        result = send(host, secure=True, sts=False, more=self.alias(Lookup.TIMED_OUT))
        assert host.connections == []
        assert counted(result) == [("tlsa", "dnssec-invalid", "mx.dest.example")]

    def test_dane_wins_over_mta_sts(self, certificate):
        host = Scripted(ehlo=EHLO_TLS, tls=server_context(certificate))
        site = Site(policy_text(mx="elsewhere.example"))
        result = send(host, site=site, secure=True, tlsa=[f"3 1 1 {key_digest(certificate)}"])
        assert result.is_delivered

    def test_a_signed_domain_without_records_has_its_mta_sts_policy(self):
        host = Scripted(ehlo=EHLO)
        result = send(host, secure=True)
        assert host.received == []
        assert counted(result) == [("sts", "starttls-not-supported", "mx.dest.example")]
