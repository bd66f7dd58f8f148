import re
from pathlib import Path

from postal_server.rules.failure_class import ABOUT, About, FailureClass
from postal_server.rules.suppression import RULES, Reason
from tests.each import each

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| [^|]+ \| ([^|]+) \| `(\w+)` \|$", re.MULTILINE)
PAGE = Path(__file__).resolve().parents[3] / "docs" / "bounces.md"
TABLE = {name: (about, entry) for name, about, entry, _ in ROW.findall(PAGE.read_text("utf-8"))}


def test_each_class_is_about_somebody():
    assert set(ABOUT) == set(FailureClass)
    assert {name.about for name in FailureClass} == set(About)


def test_the_documentation_has_each_class_in_order():
    assert list(TABLE) == [name.value for name in FailureClass]


@each("name", FailureClass)
def test_the_documentation_says_whom_a_class_is_about_and_when_it_suppresses(name):
    about, entry = TABLE[name.value]
    assert about == name.about.value
    if name.value not in {reason.value for reason in Reason}:
        assert entry == "never"
        return
    begins = {1: "at once", 2: "the second time", 3: "after 3 days"}
    assert entry.startswith(begins[RULES[Reason(name.value)].strikes])
