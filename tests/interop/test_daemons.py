"""What tests that need other programs do where something is missing."""

from __future__ import annotations

import pytest

from . import daemons

SUPPORT = """\
=== AUTH CRAM-MD5 supported
*** AUTH NTLM not available: requires Authen::NTLM
*** TLS not available: requires Net::SSLeay
"""


@pytest.fixture
def lame(tmp_path, monkeypatch):
    """A swaks without Net::SSLeay."""
    path = tmp_path / "swaks"
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{SUPPORT}END\n")
    path.chmod(0o755)
    monkeypatch.setattr(daemons, "PLACES", f"{tmp_path}:/bin:/usr/bin")
    return str(path)


def test_program_that_is_missing_skips_the_test_and_fails_it_on_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        daemons.program("no-such-program")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        daemons.program("no-such-program")


def test_what_a_program_lacks_is_named(lame, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    assert daemons.swaks("AUTH CRAM-MD5", "Basic AUTH") == lame
    with pytest.raises(pytest.skip.Exception, match="swaks cannot do TLS: it requires Net::SSLeay"):
        daemons.swaks("AUTH CRAM-MD5", "TLS")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Net::SSLeay"):
        daemons.swaks("TLS")
