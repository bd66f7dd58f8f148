"""What listening servers have in common."""

from __future__ import annotations

import asyncio

from postal_server.net.listening import NEVER, Connection, Sweep, Turns


class Late(Connection):
    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.fails = fails
        self.expired = 0
        self.deadline = 0.0

    def expire(self) -> None:
        self.expired += 1
        self.deadline = NEVER
        if self.fails:
            raise OSError("the peer is gone")


def test_a_connection_past_its_deadline_expires_once_and_others_do_not():
    async def work() -> tuple[int, int]:
        late, patient = Late(), Late()
        patient._set_deadline(60)
        sweep = Sweep([late, patient])
        sweep.start(0.01)
        await asyncio.sleep(0.05)
        sweep.stop()
        return late.expired, patient.expired

    assert asyncio.run(work()) == (1, 0)


def test_a_connection_that_fails_to_expire_does_not_end_the_sweep():
    async def work() -> int:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        failing, late = Late(fails=True), Late()
        sweep = Sweep([failing, late])
        asyncio.get_running_loop().call_soon(sweep.start, 0.01)
        await asyncio.sleep(0.1)
        sweep.stop()
        return late.expired

    assert asyncio.run(work()) == 1


def test_the_sweep_ends_with_stop():
    async def work() -> int:
        connections: list[Connection] = []
        sweep = Sweep(connections)
        sweep.start(0.01)
        sweep.stop()
        late = Late()
        connections.append(late)
        await asyncio.sleep(0.05)
        return late.expired

    assert asyncio.run(work()) == 0


def test_between_two_turns_all_others_are_served():
    async def work() -> list[str]:
        loop, turns, done = asyncio.get_running_loop(), Turns(), []
        for name in ("first", "second", "third"):
            turns.add(lambda name=name: done.append(name))
            loop.call_soon(done.append, "other")
        await asyncio.sleep(0.01)
        return done

    assert asyncio.run(work()) == ["first", "other", "other", "other", "second", "third"]


def test_a_turn_that_fails_does_not_cost_others_theirs():
    async def work() -> list[str]:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        turns, done = Turns(), []
        turns.add(lambda: 1 // 0)
        turns.add(lambda: done.append("next"))
        await asyncio.sleep(0.01)
        turns.add(lambda: done.append("later"))
        await asyncio.sleep(0.01)
        return done

    assert asyncio.run(work()) == ["next", "later"]
