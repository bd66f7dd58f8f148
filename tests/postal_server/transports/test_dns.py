from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from postal_server.engine.ports import Answer, Lookup
from postal_server.mail.tlsa import usable
from postal_server.transports.dns import NEGATIVE_TTL, DnsResolver
from tests.each import each
from tests.loops import LOOPS, run

ZONE: dict[str, Any] = {
    "dest.example": {"MX": ["20 mx2.dest.example.", "10 mx1.dest.example."]},
    "equal.example": {"MX": [f"10 mx{n}.dest.example." for n in range(5)]},
    "mx1.dest.example": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "mx2.dest.example": {"A": ["192.0.2.3"]},
    "nomx.example": {"A": ["192.0.2.4"]},
    "null.example": {"MX": ["0 ."]},
    "both.example": {"MX": ["0 .", "10 mx1.dest.example."]},
    "txt.example": {"TXT": ['"one " "string"', '"second"']},
    "1.2.0.192.in-addr.arpa": {"PTR": ["host.example."]},
    "_25._tcp.mx1.dest.example": {"TLSA": ["3 1 1 " + "ab" * 32, "2 0 2 " + "cd" * 64]},
    "alias.example": {"CNAME": ["mx1.dest.example."]},
    "twice.example": {"ALIASES": ["one.example.", "mx1.dest.example."]},
    "dangling.example": {"CNAME": ["nowhere.example."]},
    "broken.example": "SERVFAIL",
    "refused.example": "REFUSED",
    "silent.example": "SILENT",
}


class Zone(asyncio.DatagramProtocol):
    """A DNS server with ZONE; `asked` are the questions."""

    def __init__(
        self, ttl: int = 60, soa: bool = False, secure: bool = False, minimum: int = 30, alias_ttl: int = 20
    ) -> None:
        self.ttl, self.soa, self.secure = ttl, soa, secure
        self.minimum, self.alias_ttl = minimum, alias_ttl
        self.asked: list[tuple[str, str]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA | (dns.flags.AD if self.secure else 0)
        found = ZONE.get(name)
        if isinstance(found, dict) and (aliases := found.get("ALIASES")):
            sections = (dns.rrset.from_text(name + ".", 60, "IN", "CNAME", alias) for alias in aliases)
            answer.answer.extend(sections)
            self.transport.sendto(answer.to_wire(), address)
            return
        if isinstance(found, dict) and (alias := found.get("CNAME")):
            answer.answer.append(dns.rrset.from_text(name + ".", self.alias_ttl, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".")
            found = ZONE.get(name)
        if found == "SILENT":
            return
        if found is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif isinstance(found, str):
            answer.set_rcode(dns.rcode.from_text(found))
        elif found.get(kind):
            answer.answer.append(dns.rrset.from_text(name + ".", self.ttl, "IN", kind, *found[kind]))
        if self.soa and (found is None or not found.get(kind)):
            soa = f"ns.{name}. admin.{name}. 1 2 3 4 {self.minimum}"
            answer.authority.append(dns.rrset.from_text(name + ".", 90_000, "IN", "SOA", soa))
        self.transport.sendto(answer.to_wire(), address)


def ask(question, loop="asyncio", clock=None, **zone):
    """What `question(resolver, zone)` returns."""

    async def work():
        running = asyncio.get_running_loop()
        transport, server = await running.create_datagram_endpoint(
            lambda: Zone(**zone), local_addr=("127.0.0.1", 0)
        )
        address = transport.get_extra_info("sockname")
        options = {"clock": clock} if clock else {}
        resolver = DnsResolver([address], timeout=timedelta(seconds=0.4), **options)
        try:
            return await question(resolver, server)
        finally:
            transport.close()
            await asyncio.sleep(0)

    return run(work(), loop)


@each("loop", LOOPS)
@each(
    "domain, lookup, hosts",
    [
        ("dest.example", Lookup.FOUND, ("mx1.dest.example", "mx2.dest.example")),
        ("DEST.Example.", Lookup.FOUND, ("mx1.dest.example", "mx2.dest.example")),
        ("nomx.example", Lookup.FOUND, ("nomx.example",)),
        ("null.example", Lookup.NULL_MX, ()),
        ("both.example", Lookup.FOUND, ("mx1.dest.example",)),
        ("nowhere.example", Lookup.NO_DOMAIN, ()),
        ("broken.example", Lookup.FAILED, ()),
        ("refused.example", Lookup.FAILED, ()),
        ("silent.example", Lookup.TIMED_OUT, ()),
        ("x" * 64 + ".example", Lookup.NO_DOMAIN, ()),
        ("..", Lookup.NO_DOMAIN, ()),
    ],
)
def test_mail_hosts(domain, lookup, hosts, loop):
    async def question(resolver, _):
        return await resolver.mail_hosts(domain)

    assert ask(question, loop) == Answer(lookup, hosts)


def test_hosts_of_equal_preference_take_turns():
    async def question(resolver, _):
        return {(await resolver.mail_hosts("equal.example")).values[0] for _ in range(100)}

    assert len(ask(question)) > 1


@each(
    "host, answer",
    [
        ("mx1.dest.example", Answer(Lookup.FOUND, ("2001:db8::1", "192.0.2.1"))),
        ("mx2.dest.example", Answer(Lookup.FOUND, ("192.0.2.3",))),
        ("192.0.2.9", Answer(Lookup.FOUND, ("192.0.2.9",))),
        ("2001:db8::9", Answer(Lookup.FOUND, ("2001:db8::9",))),
        ("nowhere.example", Answer(Lookup.NO_DOMAIN)),
        ("dest.example", Answer(Lookup.NO_DATA)),
        ("broken.example", Answer(Lookup.FAILED)),
    ],
)
def test_addresses_ipv6_first(host, answer):
    async def question(resolver, _):
        return await resolver.addresses(host)

    assert ask(question) == answer


@pytest.mark.parametrize(
    ("host", "canonical"), [("alias.example", "mx1.dest.example"), ("mx1.dest.example", "")]
)
def test_the_name_that_an_alias_stands_for(host, canonical):
    async def question(resolver, _):
        return (await resolver.addresses(host)).canonical_name

    assert ask(question) == canonical


@each(
    "address, name",
    [("192.0.2.1", "host.example"), ("192.0.2.2", None), ("nonsense", None), ("", None), ("127.0.0.1", None)],
)
def test_name_of(address, name):
    async def question(resolver, _):
        return await resolver.name_of(address)

    assert ask(question) == name


def test_without_a_resolver_look_ups_fail(tmp_path, caplog):
    resolver = DnsResolver(resolv_conf=tmp_path / "missing")
    assert run(resolver.mail_hosts("dest.example")) == Answer(Lookup.FAILED)
    assert "names no resolver" in caplog.text


def test_the_file_names_the_resolver(tmp_path):
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    resolver = DnsResolver(resolv_conf=tmp_path / "resolv.conf")
    [server] = resolver._resolver.nameservers
    assert (server.answer_nameserver(), server.answer_port()) == ("127.0.0.1", 53)


def test_strings_of_a_txt_record_are_joined():
    async def question(resolver, _):
        return set((await resolver.records("txt.example", "TXT")).values)

    assert ask(question) == {"one string", "second"}


@pytest.mark.parametrize("secure", [True, False])
def test_validated_answers_say_so(secure):
    async def question(resolver, _):
        return (await resolver.records("txt.example", "TXT")).is_secure

    assert ask(question, secure=secure) is secure


@each("secure", [True, False])
@each("domain", ["dest.example", "nomx.example"], ids=["MX", "no MX"])
def test_hosts_are_as_safe_as_the_answer_that_names_them(domain, secure):
    async def question(resolver, _):
        return (await resolver.mail_hosts(domain)).is_secure

    assert ask(question, secure=secure) is secure


@each("secure", [True, False])
@each("host", ["mx1.dest.example", "mx2.dest.example"], ids=["both families", "IPv4 only"])
def test_addresses_are_as_safe_as_the_answers_that_have_any(host, secure):
    async def question(resolver, _):
        return (await resolver.addresses(host)).is_secure

    assert ask(question, secure=secure) is secure


def test_tlsa_records_can_be_used_as_they_come():
    async def question(resolver, _):
        return (await resolver.records("_25._tcp.mx1.dest.example", "TLSA")).values

    assert sorted(map(str, usable(ask(question)))) == ["2 0 2 " + "cd" * 64, "3 1 1 " + "ab" * 32]


@each(
    "name, zone, seconds",
    [
        ("dest.example", {"ttl": 60}, 60),
        ("dest.example", {"ttl": 0}, 1),
        ("nowhere.example", {"soa": True}, 30),
        ("nomx.example", {"soa": True}, 30),
        ("nowhere.example", {}, NEGATIVE_TTL),
        ("broken.example", {}, 5),
        ("nowhere.example", {"soa": True, "minimum": 86_400}, 3600),
        ("nomx.example", {"soa": True, "minimum": 86_400}, 3600),
        ("alias.example", {"ttl": 600}, 20),
        ("dangling.example", {"soa": True}, 20),
    ],
    ids=[
        "TTL",
        "TTL of 0",
        "no domain, SOA",
        "no data, SOA",
        "no domain, no SOA",
        "failure",
        "no domain, for a day",
        "no data, for a day",
        "an alias for a short time",
        "an alias of nothing",
    ],
)
def test_an_answer_is_remembered_as_long_as_it_says(name, zone, seconds):
    now = [0.0]

    async def question(resolver, server):
        asked = []
        for at in (0, seconds - 0.5, seconds + 0.5):
            now[0] = at
            await resolver.records(name, "A" if name == "alias.example" else "MX")
            asked.append(len(server.asked))
        return asked

    first, before, after = ask(question, clock=lambda: now[0], **zone)
    assert first == before
    assert after > before


def test_a_question_is_asked_once_however_many_wait_for_it():
    async def question(resolver, server):
        tasks = [asyncio.ensure_future(resolver.records("dest.example", "MX")) for _ in range(50)]
        await asyncio.sleep(0)
        tasks[0].cancel()  # one that gives up leaves the others their answer
        answers = await asyncio.gather(*tasks[1:])
        return len(server.asked), {answer.lookup for answer in answers}

    assert ask(question) == (1, {Lookup.FOUND})


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("short", ["short.dest.example", "short.other.example", "short"]),
        ("a.b.c", ["a.b.c", "a.b.c.dest.example", "a.b.c.other.example"]),
        ("short.", ["short."]),
        ("mx1", ["mx1.dest.example"]),
    ],
)
def test_a_short_name_of_a_host_is_completed_as_the_file_says(tmp_path, monkeypatch, host, asked):
    lines = "nameserver 127.0.0.1\nsearch dest.example other.example\noptions ndots:2\n"
    (tmp_path / "resolv.conf").write_text(lines)
    resolver = DnsResolver(resolv_conf=tmp_path / "resolv.conf")
    names = []

    async def addresses(name):
        names.append(name)
        return Answer(Lookup.FOUND if name == "mx1.dest.example" else Lookup.NO_DOMAIN)

    monkeypatch.setattr(resolver, "addresses", addresses)
    run(resolver.host_addresses(host))
    assert names == asked


@pytest.mark.parametrize(
    ("name", "aliases"),
    [
        ("alias.example", ("mx1.dest.example",)),
        ("twice.example", ("one.example", "mx1.dest.example")),
        ("nomx.example", ()),
    ],
)
def test_every_alias_of_a_name_is_reported(name, aliases):
    """There must not be two, which is for somebody else to say."""

    async def question(resolver, _):
        return await resolver.records(name, "CNAME")

    assert ask(question).values == aliases
