"""What may be installed: no version without a known fix, and hashes for all that a deployment installs."""

from __future__ import annotations

import configparser
import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.each import each

from .readme import ROOT

EXTRAS = ("server", "postgres", "mariadb")  # those of deployments, as `make constraints` has them
# The first versions with fixes of faults that a stranger can reach through us.
FIXED = {
    "django": "5.2.16",
    "requests": "2.32.4",  # CVE-2024-47081: credentials of .netrc sent to another host
    "cryptography": "44.0.1",  # CVE-2024-12797, of the OpenSSL inside
    "dnspython": "2.6.1",  # CVE-2023-29483: a forged answer ends a look-up
    "urllib3": "2.6.3",  # CVE-2025-66471 and CVE-2026-21441: small answers that unpack without end
    "aiosmtpd": "1.4.6",  # CVE-2024-34083: commands injected behind STARTTLS
    "idna": "3.7",  # CVE-2024-3651: names that take square time
    "pymysql": "1.1.1",  # CVE-2024-36039: keys of a dictionary are not escaped
}


def required() -> dict[str, Requirement]:
    """What the package and the extras of deployments ask for, by name."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lists = [
        setup["options"]["install_requires"],
        *(setup["options.extras_require"][name] for name in EXTRAS),
    ]
    found = [Requirement(line) for text in lists for line in text.split("\n") if line.strip()]
    return {canonicalize_name(each.name): each for each in found}


def pinned() -> dict[str, list[tuple[str, list[str]]]]:
    """The versions in constraints.txt, by name, each with its hashes; one for each kind of Python."""
    text = re.sub(r"^#.*\n|^ *#.*\n", "", (ROOT / "constraints.txt").read_text("utf-8"), flags=re.MULTILINE)
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for entry in text.replace("\\\n", "").splitlines():
        requirement = Requirement(entry.partition(" --hash=")[0])
        [version] = [each.version for each in requirement.specifier if each.operator == "=="]
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry)
        found.setdefault(canonicalize_name(requirement.name), []).append((version, hashes))
    return found


@each("name", sorted(FIXED))
def test_no_version_without_a_known_fix_may_be_installed(name: str) -> None:
    lowest = [each.version for each in required()[name].specifier if each.operator == ">="]
    assert lowest == [FIXED[name]]


@each("name", sorted(required()))
def test_constraints_are_in_step_with_what_is_required(name: str) -> None:
    versions = [version for version, _ in pinned().get(name, [])]
    assert versions, f"{name} is not in constraints.txt: run `make constraints`"
    assert all(required()[name].specifier.contains(version) for version in versions), versions


def test_every_constraint_has_hashes() -> None:
    assert all(hashes for versions in pinned().values() for _, hashes in versions)


def test_constraints_are_made_by_the_documented_command() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").split("\nconstraints:")[1].split("\n\n")[0]
    assert re.findall(r"--extra (\w+)", recipe) == list(EXTRAS)
    assert "make constraints" in (ROOT / "constraints.txt").read_text("utf-8").split("\n", 3)[1]
