from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta

import pytest

from postal_server.rules.request_destination import AllowedDestinations
from postal_server.transports.http.hosts import HostResolver
from postal_server.transports.http.pool import HttpPool
from tests.certificates import server_context, trusting
from tests.fakes import FakeResolver, post
from tests.loops import LOOPS, run

LOOPBACK = AllowedDestinations.parse(["127.0.0.0/8"]).permits
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANG, CLOSE = b"<hang>", b"<close>"


class Server:
    """Answers each request with the next of `answers`, the last one again and again."""

    def __init__(self, *answers: bytes, tls: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers) or [OK]
        self.tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Server:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                self.requests.append(head + await reader.readexactly(size))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer == CLOSE:
                    break
                if answer != HANG:
                    writer.write(answer)
                    if b"\r\nConnection: close" in answer:
                        break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def exchange(server, work=None, loop="asyncio", permits=LOOPBACK, **kwargs):
    """The result of one post to the server, or of `work(server, pool)`."""

    async def one(running, pool):
        return await pool.post(post(running.url, timeout=kwargs.get("timeout", 5.0)))

    async def both():
        async with server:
            given = {k: v for k, v in kwargs.items() if k != "timeout"}
            pool = HttpPool(permits, **{"resolve": HostResolver(FakeResolver().addresses), **given})
            result = await (work or one)(server, pool)
            await pool.close()
            return result

    return run(both(), loop)


class TestPost:
    @pytest.mark.parametrize(
        "text", ["", "ftp://a.example/", "file:///etc/passwd", "http://", "http://a:x/", "http://[::1/"]
    )
    def test_what_is_no_url_is_a_failed_post(self, text):
        assert exchange(Server(), lambda _, pool: pool.post(post(text))).status == -2

    @pytest.mark.parametrize("loop", LOOPS)
    def test_an_answer_is_the_result_and_the_connection_is_kept(self, loop):
        async def work(server, pool):
            results = [await pool.post(post(server.url, b'{"n": %d}' % n)) for n in range(5)]
            assert [(r.status, r.body) for r in results] == [(200, b"ok")] * 5
            assert server.connections == 1
            assert server.requests[4].endswith(b'\r\n\r\n{"n": 4}')

        exchange(Server(), work, loop)

    @pytest.mark.parametrize("status", [200, 204, 301, 404, 410, 429, 500, 503])
    def test_every_status_is_a_result_and_redirects_are_not_followed(self, status):
        answer = b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" % status
        server = Server(answer)
        assert exchange(server).status == status
        assert len(server.requests) == 1

    def test_a_kept_connection_closed_by_the_server_is_replaced(self):
        async def work(server, pool):
            assert (await pool.post(post(server.url))).status == 200
            server.writers[0].close()
            await asyncio.sleep(0.02)
            assert (await pool.post(post(server.url))).status == 200
            assert server.connections == 2

        exchange(Server(), work)

    def test_one_closed_at_the_request_is_replaced_once(self):
        async def work(server, pool):
            assert (await pool.post(post(server.url))).status == 200
            assert (await pool.post(post(server.url))).status == 200
            assert (server.connections, len(server.requests)) == (2, 3)

        exchange(Server(OK, CLOSE, OK), work)

    def test_one_closed_in_the_middle_of_an_answer_is_not_posted_to_again(self):
        cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort"

        async def work(server, pool):
            assert (await pool.post(post(server.url))).status == 200
            assert (await pool.post(post(server.url))).status == -2
            assert len(server.requests) == 2

        exchange(Server(OK, cut, OK), work)

    @pytest.mark.parametrize(
        ("answer", "status", "text"),
        [
            (HANG, -1, b"Timed out after 0.2s"),
            (CLOSE, -2, b"connection closed in the middle of the answer"),
            (b"220 mx.example ESMTP\r\n\r\n", -2, b"not an HTTP answer"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort",
                -2,
                b"connection closed",
            ),
            (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, -2, b"answer headers without end"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", -2, b"not an HTTP body"),
        ],
        ids=["hang", "close", "another protocol", "cut", "endless headers", "bad chunk"],
    )
    @pytest.mark.parametrize("loop", LOOPS)
    def test_no_answer_is_a_result_too(self, loop, answer, status, text):
        result = exchange(Server(answer), loop=loop, timeout=0.2)
        assert result.status == status
        assert result.body.startswith(text)
        assert result.seconds is not None

    def test_a_port_without_a_listener(self):
        result = exchange(Server(), lambda _, pool: pool.post(post("http://127.0.0.1:1/")))
        assert (result.status, result.body) == (-2, b"Connection refused")

    def test_connections_to_one_site_are_limited(self):
        async def work(server, pool):
            results = await asyncio.gather(*(pool.post(post(server.url)) for _ in range(20)))
            assert {r.status for r in results} == {200}
            assert server.connections <= 3

        exchange(Server(), work, per_origin=3)

    @pytest.mark.parametrize("loop", LOOPS)
    def test_a_name_whose_servers_are_dead_holds_up_no_other_post(self, loop):
        async def hang(host):
            await asyncio.sleep(60)

        async def work(server, pool):
            url = f"http://dead.example:{server.port}/"
            dead = [asyncio.ensure_future(pool.post(post(url))) for _ in range(40)]
            await asyncio.sleep(0.1)
            result = await pool.post(post(server.url.replace("127.0.0.1", "localhost"), timeout=1.0))
            for task in dead:
                task.cancel()
            return result

        assert exchange(Server(), work, loop, resolve=HostResolver(hang)).status == 200

    @pytest.mark.parametrize("loop", LOOPS)
    @pytest.mark.parametrize("first", ["2001:db8::1", "127.0.0.2"], ids=["IPv6", "IPv4"])
    def test_an_address_that_does_not_answer_delays_no_other(self, loop, first, monkeypatch):
        dial = HttpPool._dial

        async def slow_dial(self, url, address):
            if address == first:
                await asyncio.sleep(60)
            return await dial(self, url, address)

        async def resolve(host):
            return [first, "127.0.0.1"]

        async def work(server, pool):
            return await pool.post(post(f"http://hooks.example:{server.port}/", timeout=1.0))

        monkeypatch.setattr(HttpPool, "_dial", slow_dial)
        assert (
            exchange(Server(), work, loop, permits=lambda host, address: True, resolve=resolve).status == 200
        )

    def test_a_name_with_many_addresses_is_tried_at_a_few_of_them(self, monkeypatch):
        dialled = []

        async def dial(pool, url, address):
            dialled.append(address)
            raise OSError("down")

        async def resolve(host):
            return [f"127.0.0.{number}" for number in range(1, 51)]

        monkeypatch.setattr(HttpPool, "_dial", dial)
        assert exchange(Server(), resolve=resolve).body == b"down"
        assert len(dialled) == 4

    def test_a_large_body_arrives_whole(self):
        async def work(server, pool):
            body = b"x" * 5_000_000
            assert (await pool.post(post(server.url, body))).status == 200
            assert server.requests[0].endswith(body)

        exchange(Server(), work)


class TestClose:
    """A post that was broken off is made again at the next start, and the receiver hears it twice."""

    @pytest.mark.parametrize("loop", LOOPS)
    def test_posts_under_way_are_ended_and_no_other_is_begun(self, loop):
        async def work(server, pool):
            posts = [asyncio.ensure_future(pool.post(post(server.url))) for _ in range(2)]
            while not server.requests:
                await asyncio.sleep(0.01)
            closing = asyncio.ensure_future(pool.close())
            await asyncio.sleep(0.05)
            assert not closing.done()
            server.writers[0].write(OK)
            await closing
            assert [(await done).status for done in posts] == [200, -2]
            assert len(server.requests) == 1

        exchange(Server(HANG), work, loop, per_origin=1)

    def test_one_that_does_not_end_is_not_waited_for(self):
        async def work(server, pool):
            hanging = asyncio.ensure_future(pool.post(post(server.url)))
            while not server.requests:
                await asyncio.sleep(0.01)
            await asyncio.wait_for(pool.close(grace=timedelta(seconds=0.1)), 1)
            assert not hanging.done()
            hanging.cancel()

        exchange(Server(HANG), work)


class TestGet:
    def test_the_connection_is_closed_though_the_server_would_keep_it(self):
        async def work(server, pool):
            answer = await pool.get(server.url, 5.0)
            assert (answer.status, answer.may_reuse) == (200, True)
            await asyncio.sleep(0.05)
            assert server.writers[0].is_closing()

        exchange(Server(), work)


class TestTls:
    @pytest.mark.parametrize("loop", LOOPS)
    def test_a_certificate_is_verified(self, loop, certificate):
        async def work(server, pool):
            return await pool.post(post(server.url.replace("127.0.0.1", "mx.dest.example")))

        async def resolve(host):
            return ["127.0.0.1"]

        tls = server_context(certificate)
        good = exchange(Server(tls=tls), work, loop, tls_context=trusting(certificate[0]), resolve=resolve)
        bad = exchange(Server(tls=tls), work, loop, resolve=resolve)
        assert good.status == 200
        assert (bad.status, bad.body) == (-3, b"Invalid SSL certificate")

    def test_a_server_without_tls_is_no_success(self):
        async def work(server, pool):
            return await pool.post(post(server.url.replace("http:", "https:"), timeout=1.0))

        assert exchange(Server(), work).status in (-1, -3)


class TestServerSideRequestForgery:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ],
    )
    def test_this_machine_cannot_be_posted_to(self, host):
        server = Server()

        async def work(running, pool):
            return await pool.post(post(f"http://{host}:{running.port}/"))

        result = exchange(server, work, permits=AllowedDestinations().permits)
        assert result.status == -2
        assert server.connections == 0

    @pytest.mark.parametrize(
        "addresses",
        [
            ["10.0.0.1", "fd00::1"],
            ["8.8.8.8", "10.0.0.1"],
            ["127.0.0.1", "8.8.8.8"],
            ["2606:4700::1", "::ffff:127.0.0.1"],
            ["2606:4700::1", "64:ff9b::a00:1", "8.8.8.8"],
            ["8.8.8.8"] * 30 + ["10.0.0.1"],
        ],
        ids=["private", "private behind", "private in front", "mapped", "NAT64", "behind many"],
    )
    def test_a_name_with_a_private_address_is_refused(self, addresses):
        """One among public ones is enough, as in Postal 3.3.7."""

        async def resolve(host):
            return addresses

        result = exchange(
            Server(),
            lambda _, pool: pool.post(post("http://evil.example/")),
            permits=AllowedDestinations().permits,
            resolve=resolve,
        )
        assert result.body == b"evil.example is at an address that may not be posted to"

    def test_a_host_that_is_listed_may_have_addresses_of_both_kinds(self):
        async def resolve(host):
            return ["127.0.0.1", "10.0.0.1"]

        async def work(server, pool):
            return await pool.post(post(f"http://hooks.internal:{server.port}/"))

        permits = AllowedDestinations.parse(["hooks.internal"]).permits
        assert exchange(Server(), work, permits=permits, resolve=resolve).status == 200

    def test_dns_rebinding_a_name_is_looked_up_once_and_connected_to_where_it_was_checked(self):
        answers = [["127.0.0.1"], ["127.0.0.9"]]
        asked, checked = [], []

        async def resolve(host):
            asked.append(host)
            return answers[len(asked) - 1]

        def permits(host, address):
            checked.append(address)
            return True

        async def work(server, pool):
            return await pool.post(post(f"http://rebind.example:{server.port}/"))

        assert exchange(Server(), work, permits=permits, resolve=resolve).status == 200
        assert (asked, checked) == (["rebind.example"], ["127.0.0.1"])
