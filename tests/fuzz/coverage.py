"""`python -m tests.fuzz.coverage TARGET [libFuzzer options]`: one target, guided by coverage (Atheris)."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["postal_server", "anymail_postal"]):
    from .targets import TARGETS

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]].run)
    atheris.Fuzz()
