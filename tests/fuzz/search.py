"""New inputs by hypothesis: seeds and kept inputs, changed in places, and bytes of any kind."""

from __future__ import annotations

import hashlib
import time

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from .targets import Target

ROUND = 1000  # examples between looks at the clock
LONG_ROUND = 20  # of long ones
LONG = 65_536  # bytes: what takes time that grows with the square of its length shows there
EDITS = 12
INTERESTING = (b"\0", b"\n", b"\r\n", b" ", b"\xff", b"\xc3", b"=", b'"', b"\\", b"<", b"%00", b"A" * 1100)

Edit = tuple[int, int, bytes]  # where (modulo the length), how many bytes go, what comes


def changed(seed_input: bytes, edits: list[Edit]) -> bytes:
    for place, gone, come in edits:
        at = place % (len(seed_input) + 1)
        seed_input = seed_input[:at] + come + seed_input[at + gone :]
    return seed_input


def stretched(seed_input: bytes, place: int, piece: bytes) -> bytes:
    """The input with `piece` in it again and again, so that it has `LONG` bytes."""
    at = place % (len(seed_input) + 1)
    filling = piece * ((LONG - len(seed_input)) // len(piece)) if piece else b""
    return seed_input[:at] + filling + seed_input[at:]


def pieces(target: Target) -> st.SearchStrategy[bytes]:
    """What is put into inputs."""
    halves = st.sampled_from([data[: len(data) // 2] for data in target.inputs()])
    return st.one_of(st.sampled_from([*target.words, *INTERESTING]), st.binary(max_size=8), halves)


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    edits = st.lists(
        st.tuples(st.integers(0, 5000), st.sampled_from([0, 0, 1, 4, 60]), pieces(target)), max_size=EDITS
    )
    begin = st.sampled_from(list(target.inputs()))
    return st.one_of(st.builds(changed, begin, edits), st.binary(max_size=200))


def long_inputs(target: Target) -> st.SearchStrategy[bytes]:
    begin = st.sampled_from(list(target.inputs()))
    return st.builds(stretched, begin, st.integers(0, 5000), pieces(target)).map(Shown)


class Shown(bytes):
    """A long input that is not printed as a whole."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes, sha256 {hashlib.sha256(self).hexdigest()[:16]}: {self[:200]!r}...>"


def search(target: Target, examples: int, number: int | None = None, *, is_long: bool = False) -> None:
    """Run the target on `examples` inputs; raises what it raises, with the smallest input that makes it.

    `number` names a round of inputs of its own; without it hypothesis goes on from what it remembers.
    """

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(long_inputs(target) if is_long else inputs(target))
    def check(data: bytes) -> None:
        target.run(data)

    (check if number is None else seed(number)(check))()


def search_for(target: Target, seconds: float) -> int:
    """Run rounds until `seconds` are over; the result is how many inputs were tried."""
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        search(target, ROUND, rounds)
        search(target, LONG_ROUND, rounds, is_long=True)
        rounds += 1
    return rounds * (ROUND + LONG_ROUND)
