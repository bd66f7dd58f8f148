"""Tests that share what is costly to set up run in one process, in their order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .installed import environment
from .lanes import HERE, LANES, LONGEST, is_in

CONFTEST = "from tests.conftest import pytest_xdist_make_scheduler\n"
TESTS = "import pytest\n@pytest.mark.parametrize('number', range(4))\ndef test(number): pass\n"
MODULES = ("end_to_end/test_a.py", "end_to_end/test_b.py", "story/test_1.py", "story/test_2.py")


def test_a_module_and_a_story_run_in_one_process_each_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for module in MODULES:
        path = tmp_path / "tests" / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TESTS)
    words = ["-v", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(HERE.parent)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    ran = re.findall(r"^\[(gw\d)\] .*PASSED tests/(\S+)::", done.stdout, re.MULTILINE)
    assert len(ran) == 4 * len(MODULES), done.stdout + done.stderr
    process = {module: {by for by, ran_module in ran if ran_module == module} for module in MODULES}
    assert {len(processes) for processes in process.values()} == {1}
    assert process["story/test_1.py"] == process["story/test_2.py"]
    assert [module for _, module in ran if "story" in module] == [MODULES[2]] * 4 + [MODULES[3]] * 4


def test_what_takes_longest_is_there() -> None:
    for group in LONGEST:
        assert (HERE / group).exists()
        assert any(is_in(places, group) for places in LANES.values())
