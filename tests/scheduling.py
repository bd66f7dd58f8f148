"""How pytest-xdist distributes the tests of a lane: those of a module, or of one story, to one process.

Not by its marks (`xdist_group`): pytest-xdist 3.8 writes their groups into an attribute that pytest 9.2 does
not read any more, and then groups nothing without a word.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

from .lanes import LONGEST, group_of


class LaneScheduling(LoadScopeScheduling):
    """Each group goes to a process as a whole; first those that take longest, then those of most tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0].removeprefix("tests/"))

    def _assign_work_unit(self, node: Any) -> None:
        first = min(self.workqueue, key=_rank)
        self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)


def _rank(group: str) -> int:
    return LONGEST.index(group) if group in LONGEST else len(LONGEST)
