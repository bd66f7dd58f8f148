from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from aiosmtpd.smtp import SMTP

from postal_server.engine.ports import Lookup, Source, Stage, Target
from postal_server.transports.smtp.connect import CatchHosts, Connector
from postal_server.transports.smtp.pool import PoolLimits, SmtpPool
from tests.fakes import FakeResolver, mail
from tests.loops import LOOPS, run

from .scripted import CLOSE, EHLO, HANG, Scripted
from .senders import ZONE, pool


def with_host(test, host: Scripted | None = None, loop: str = "asyncio", **kwargs):
    """Run `test(host, sender)`."""

    async def work():
        async with host or Scripted() as running:
            sender = pool(running.port, **kwargs)
            try:
                return await test(running, sender)
            finally:
                await sender.close(timedelta(0))

    return run(work(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_session_is_kept_for_the_next_mail_of_its_destination(loop):
    async def test(host, sender):
        for _ in range(5):
            assert (await sender.send(mail())).is_delivered
        assert len(host.connections) == 1
        assert "RSET" not in host.lines

    with_host(test, loop=loop)


def test_another_destination_or_source_gets_its_own():
    async def test(host, sender):
        await sender.send(mail())
        await sender.send(mail("bob@other.example"))
        await sender.send(mail(source=Source("127.0.0.1")))
        assert len(host.connections) == 3

    with_host(test, zone={**ZONE, "other.example": {"MX": ["mx.dest.example"]}})


def test_all_domains_share_the_sessions_with_a_relay():
    def target(domain, port, **values):
        spare = Target(domain, "127.0.0.9", port, "None")
        return Target(domain, "127.0.0.1", port, "None", alternatives=(spare,), **values)

    async def test(host, sender):
        for number in range(5):
            domain = f"d{number}.example"
            assert (await sender.send(mail(f"u@{domain}", target=target(domain, host.port)))).is_delivered
        assert len(host.connections) == 1
        assert (await sender.send(mail(target=target("x.example", host.port, username="u")))).reply is None
        assert len(host.connections) == 2  # a login of its own

    with_host(test)


def test_what_one_relay_is_given_is_bounded_as_for_a_host():
    async def test(host, sender):
        letters = [mail(f"u@d{n}.example", target=Target(f"d{n}.example", "127.0.0.1")) for n in range(8)]
        assert await busiest(sender, letters) == 3

    with_host(test, limits=PoolLimits(per_destination=2, per_host=3))


def test_after_a_refused_mail_the_session_is_reset_once():
    async def test(host, sender):
        assert (await sender.send(mail())).reply.code == 550
        for _ in range(2):
            assert (await sender.send(mail())).is_delivered
        assert host.lines.count("RSET") == 1
        assert len(host.connections) == 1

    with_host(test, Scripted({"RCPT": ["550 no"]}))


@pytest.mark.parametrize("ehlo", [EHLO, "250 host.example"], ids=["pipelined", "plain"])
def test_a_refused_reset_is_nothing_to_the_next_mail(ehlo):
    async def test(host, sender):
        assert (await sender.send(mail())).reply.code == 550
        assert (await sender.send(mail())).is_delivered
        assert len(host.connections) == 2

    with_host(test, Scripted({"RCPT": ["550 no"], "RSET": "502 no"}, ehlo))


def test_a_host_that_is_out_of_step_is_left():
    async def test(host, sender):
        first = await sender.send(mail())
        assert (first.stage, first.reply.code, first.is_delivered) == (Stage.DATA, 250, False)
        assert (await sender.send(mail())).is_delivered
        assert len(host.connections) == 2

    with_host(test, Scripted({"DATA": ["250 ok"]}))


def test_a_mail_refused_after_its_data_needs_no_reset():
    async def test(host, sender):
        await sender.send(mail())
        await sender.send(mail())
        assert "RSET" not in host.lines

    with_host(test, Scripted({"DOT": ["554 no"]}))


@pytest.mark.parametrize("how", ["closed by the host", "closed at MAIL", "421 at MAIL"])
def test_a_kept_session_found_dead_is_replaced_once(how):
    async def test(host, sender):
        assert (await sender.send(mail())).is_delivered
        if how == "closed by the host":
            host.connections[0].transport.close()
            await asyncio.sleep(0.02)
        else:
            host.answers["MAIL"] = [CLOSE if "closed" in how else "421 idle for too long"]
        assert (await sender.send(mail())).is_delivered
        assert len(host.connections) == 2

    with_host(test, Scripted(ehlo="250 host.example"))


def test_a_new_session_that_dies_is_not_tried_again():
    async def test(host, sender):
        result = await sender.send(mail())
        assert (result.stage, result.reply) == (Stage.MAIL, None)
        assert len(host.connections) == 1

    with_host(test, Scripted({"MAIL": CLOSE}))


def test_a_kept_session_that_dies_after_the_final_dot_is_not_tried_again():
    async def test(host, sender):
        await sender.send(mail())
        host.answers["DOT"] = CLOSE
        result = await sender.send(mail())
        assert (result.stage, result.reply) == (Stage.DOT, None)
        assert len(host.received) == 2

    with_host(test)


def test_an_unexpected_reply_ends_the_session():
    async def test(host, sender):
        await sender.send(mail())
        host.connections[0].transport.write(b"250 surprise\r\n")
        await asyncio.sleep(0.02)
        host.answers["RCPT"] = "550 no"
        assert (await sender.send(mail())).reply.code == 550  # not taken for the surprise
        assert len(host.connections) == 2

    with_host(test)


def test_idle_sessions_are_let_go():
    async def test(host, sender):
        await sender.send(mail())
        assert sender.open_sessions == 1
        await asyncio.sleep(1.2)
        assert sender.open_sessions == 0
        assert host.lines[-1] == "QUIT"

    with_host(test, limits=PoolLimits(idle=timedelta(seconds=0.1)))


def test_a_session_is_not_used_for_ever():
    async def test(host, sender):
        for _ in range(5):
            await sender.send(mail())
        assert len(host.connections) == 3

    with_host(test, limits=PoolLimits(mails_per_session=2))


def test_a_session_grows_no_older_than_its_tls_policy_should():
    async def test(host, sender):
        for _ in range(2):
            await sender.send(mail())
        assert len(host.connections) == 2

    with_host(test, limits=PoolLimits(age=timedelta(0)))


async def busiest(sender, letters):
    """The largest number of open sessions while all letters are sent at once."""
    tasks = [asyncio.ensure_future(sender.send(letter)) for letter in letters]
    most = 0
    while not all(task.done() for task in tasks):
        most = max(most, sender.open_sessions)
        await asyncio.sleep(0)
    assert all(task.result().is_delivered for task in tasks)
    return most


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (PoolLimits(per_destination=2), 8),
        (PoolLimits(per_host=3), 3),
        (PoolLimits(total=4), 4),
        (PoolLimits(), 20),
    ],
    ids=["per destination", "per host", "in all", "none reached"],
)
def test_sessions_stay_within_limits(limits, most):
    domains = [f"d{i}.example" for i in range(4)]
    zone = {**ZONE, **{domain: {"MX": ["mx.dest.example"]} for domain in domains}}

    async def test(host, sender):
        letters = [mail(f"u{n}@{domain}") for n in range(5) for domain in domains]
        assert await busiest(sender, letters) <= most
        assert len(host.received) == 20

    with_host(test, zone=zone, limits=limits)


def test_mails_that_wait_for_a_full_host_hold_up_no_other():
    zone = {
        "dest.example": {"MX": ["good.example"]},
        "good.example": {"A": ["127.0.0.2"]},
        "full.example": {"A": ["127.0.0.1"]},
        **{f"d{i}.example": {"MX": ["full.example"]} for i in range(5)},
    }

    async def test(full, sender):
        async with Scripted(address="127.0.0.2", port=full.port) as good:
            tasks = [asyncio.ensure_future(sender.send(mail(f"u@d{i}.example"))) for i in range(5)]
            while not full.received:
                await asyncio.sleep(0.01)
            for _ in range(3):
                assert (await asyncio.wait_for(sender.send(mail()), 2)).is_delivered
            assert len(good.connections) == 1  # those that wait take no idle session's place either
            for task in tasks:
                task.cancel()

    with_host(test, Scripted({"DOT": HANG}), zone=zone, limits=PoolLimits(per_host=1, total=3))


def test_a_mail_that_is_cancelled_while_it_waits_for_any_slot_leaves_its_place_at_the_host():
    async def work():
        sender = pool(1, limits=PoolLimits(per_host=1, total=1))
        await sender.acquire("a.example")
        waiting = asyncio.ensure_future(sender.acquire("b.example"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        sender.release("a.example")
        await asyncio.wait_for(sender.acquire("b.example"), 1)

    run(work())


def test_a_mail_that_is_cancelled_when_its_turn_has_just_come_passes_it_on():
    async def work():
        sender = pool(1, limits=PoolLimits(per_host=1))
        await sender.acquire("a.example")
        waiting = asyncio.ensure_future(sender.acquire("a.example"))
        await asyncio.sleep(0)
        sender.release("a.example")
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.wait_for(sender.acquire("a.example"), 1)

    run(work())


def test_an_idle_session_makes_room_for_another_destination():
    async def test(host, sender):
        await sender.send(mail())
        assert (await sender.send(mail("bob@other.example"))).is_delivered
        assert sender.open_sessions == 1

    zone = {**ZONE, "other.example": {"MX": ["mx.dest.example"]}}
    with_host(test, zone=zone, limits=PoolLimits(per_host=1))
    with_host(test, zone=zone, limits=PoolLimits(total=1))


def test_idle_sessions_make_room_for_all_that_are_opened_at_once():
    zone = {**ZONE, **{f"d{i}.example": {"MX": ["mx.dest.example"]} for i in range(4)}}

    async def test(host, sender):
        for pair in ((0, 1), (2, 3)):
            await asyncio.gather(*(sender.send(mail(f"u@d{number}.example")) for number in pair))
        assert sender.open_sessions == 2

    with_host(test, zone=zone, limits=PoolLimits(total=2))


def test_closing_spares_what_waits_for_the_answer_to_its_final_dot():
    async def work():
        async with Scripted({"DOT": HANG}) as after, Scripted({"RCPT": HANG}, "250 host.example") as before:
            late, early = pool(after.port), pool(before.port)
            tasks = [asyncio.ensure_future(sender.send(mail())) for sender in (late, early)]
            while not after.received or len(before.lines) < 3:
                await asyncio.sleep(0.01)
            closing = [asyncio.ensure_future(sender.close()) for sender in (late, early)]
            await asyncio.sleep(0.1)
            assert tasks[1].result().error == "this server is shutting down"
            assert not tasks[0].done()
            after.connections[0].transport.write(b"250 queued\r\n")
            assert (await tasks[0]).is_delivered
            await asyncio.gather(*closing)

    run(work())


@pytest.mark.parametrize("loop", LOOPS)
def test_aiosmtpd_takes_a_thousand_lines_and_dots(loop):
    received = []

    class Sink:
        async def handle_DATA(self, server, session, envelope):
            received.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
            return "250 2.0.0 ok"

    data = b"Subject: x\r\n\r\n" + b"..\r\n.\r\ntext\r\n" * 1000

    async def work():
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(Sink(), hostname="sink.example", enable_SMTPUTF8=True), "127.0.0.1", 0
        )
        sender = pool(server.sockets[0].getsockname()[1])
        for recipient in ("ann@dest.example", "jürgen@dest.example"):
            assert (await sender.send(mail(recipient, data=data))).is_delivered
        await sender.close()
        server.close()
        await asyncio.sleep(0.02)

    run(work(), loop)
    assert received == [
        ("bounce@rp.example", [to], data) for to in ("ann@dest.example", "jürgen@dest.example")
    ]


def catching(port, resolver=None, **patience):
    """A pool for which the catch is on this port."""
    return SmtpPool(
        Connector(
            CatchHosts("127.0.0.1", port, **patience),
            resolver or FakeResolver(),
            lambda source: "us.example",
            lambda host, address: False,  # the catch is ours: nobody is asked
        )
    )


def test_in_catch_mode_every_target_is_the_one_listener():
    async def work():
        async with Scripted() as host:
            resolver = FakeResolver()
            sender = catching(host.port, resolver)
            relay = Target("dest.example", "relay.example", 587, "TLS", "user", "pass")
            for letter in (mail("a@anywhere.example"), mail("b@[192.0.2.1]"), mail(target=relay)):
                result = await sender.send(letter)
                assert result.is_delivered
                assert result.port == host.port
            assert resolver.asked == []
            await sender.close()

    run(work())


def test_mail_waits_for_a_catch_that_is_being_started_anew():
    """A `worker` may be there before the `smtp` process that has the catch."""

    async def work():
        async with Scripted({"BANNER": ["421 shutting down"]}) as host:
            sender = catching(host.port)
            assert (await sender.send(mail())).is_delivered
            await sender.close()

    run(work())


def test_mail_waits_for_the_catch_no_longer_than_it_may():
    async def work():
        async with Scripted({"BANNER": "421 shutting down"}) as host:
            sender = catching(host.port, patience=timedelta(seconds=0.1))
            result = await sender.send(mail())
            assert (result.is_delivered, result.stage) == (False, Stage.CONNECT)
            assert len(host.connections) == 2
            await sender.close()

    run(work())


class TestUnreachable:
    @pytest.mark.parametrize(
        "lookup", [Lookup.NO_DOMAIN, Lookup.NULL_MX, Lookup.FAILED, Lookup.TIMED_OUT], ids=lambda x: x.name
    )
    def test_a_look_up_without_hosts_is_the_result(self, lookup):
        async def test(host, sender):
            result = await sender.send(mail("a@odd.example"))
            assert (result.stage, result.lookup, result.tried) == (Stage.RESOLVE, lookup, ())
            assert result.seconds is None

        with_host(test, zone={"odd.example": lookup})

    def test_the_next_host_is_tried(self):
        zone = {
            "dest.example": {"MX": ["nowhere.example", "dead.example", "mx.dest.example"]},
            "dead.example": {"A": ["127.0.0.9"]},
            "mx.dest.example": {"A": ["127.0.0.1"]},
        }

        async def test(host, sender):
            result = await sender.send(mail())
            assert result.is_delivered
            assert [(a.host, a.address, a.error) for a in result.tried] == [
                ("nowhere.example", "", "nowhere.example: the domain does not exist"),
                ("dead.example", "127.0.0.9", "Connection refused"),
            ]

        with_host(test, zone=zone)

    def test_every_host_that_was_tried_is_named(self):
        async def test(host, sender):
            result = await sender.send(mail())
            assert (result.stage, result.error) == (
                Stage.CONNECT,
                "Connection refused, Connection refused",
            )
            assert [a.host for a in result.tried] == ["a.example", "b.example"]

        zone = {
            "dest.example": {"MX": ["a.example", "b.example"]},
            "a.example": {"A": ["127.0.0.8"]},
            "b.example": {"A": ["127.0.0.9"]},
        }
        with_host(test, zone=zone)

    def test_a_target_of_its_own_has_alternatives(self):
        async def test(host, sender):
            spare = Target("dest.example", "mx.dest.example", host.port, "None")
            target = Target("dest.example", "127.0.0.9", 1, "None", alternatives=(spare,))
            assert (await sender.send(mail(target=target))).is_delivered

        with_host(test)

    def test_an_address_literal_is_connected_to(self):
        async def test(host, sender):
            result = await sender.send(mail("a@[127.0.0.1]"))
            assert result.is_delivered
            assert result.address == "127.0.0.1"

        with_host(test, zone={})
