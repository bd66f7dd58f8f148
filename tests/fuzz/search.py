"""New inputs by hypothesis: seeds and kept inputs, changed in places, and bytes of any kind."""

from __future__ import annotations

import time

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from .targets import Target

ROUND = 1000  # examples between looks at the clock
EDITS = 12
INTERESTING = (b"\0", b"\n", b"\r\n", b" ", b"\xff", b"\xc3", b"=", b'"', b"\\", b"<", b"%00", b"A" * 1100)

Edit = tuple[int, int, bytes]  # where (modulo the length), how many bytes go, what comes


def changed(seed_input: bytes, edits: list[Edit]) -> bytes:
    for place, gone, come in edits:
        at = place % (len(seed_input) + 1)
        seed_input = seed_input[:at] + come + seed_input[at + gone :]
    return seed_input


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    begin = list(target.inputs())
    pieces = st.one_of(
        st.sampled_from([*target.words, *INTERESTING]),
        st.binary(max_size=8),
        st.sampled_from(begin).map(lambda data: data[: len(data) // 2]),
    )
    edits = st.lists(
        st.tuples(st.integers(0, 5000), st.sampled_from([0, 0, 1, 4, 60]), pieces), max_size=EDITS
    )
    return st.one_of(st.builds(changed, st.sampled_from(begin), edits), st.binary(max_size=200))


def search(target: Target, examples: int, number: int | None = None) -> None:
    """Run the target on `examples` inputs; raises what it raises, with the smallest input that makes it.

    `number` names a round of inputs of its own; without it hypothesis goes on from what it remembers.
    """

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(target))
    def check(data: bytes) -> None:
        target.run(data)

    (check if number is None else seed(number)(check))()


def search_for(target: Target, seconds: float) -> int:
    """Run rounds until `seconds` are over; the result is how many inputs were tried."""
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        search(target, ROUND, rounds)
        rounds += 1
    return rounds * ROUND
