import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postal_server.errors import HostileInput
from postal_server.rules.status import Scope
from postal_server.wire import scanner
from tests.each import each

REPORT = b"""SPAMD/1.1 0 EX_OK\r
Content-length: 900\r
Spam: True ; 6.3 / 5.0\r
\r
Spam detection software, running on the system "mail.example.test",
has identified this incoming email as possible spam.

Content preview:  9.9 NOT_A_RULE of the preview

Content analysis details:   (6.3 points, 5.0 required)

 pts rule name              description
---- ---------------------- --------------------------------------------------
-0.0 NO_RELAYS              Informational: message was not relayed via SMTP
 1.2 MISSING_HEADERS        Missing To: header
 2.5 URIBL_BLACK            Contains an URL listed in the URIBL blacklist
                            [URIs: 1.1 example.test]
 2.6 RCVD_IN_XBL            RBL: Received via a relay in Spamhaus XBL
-1.0 DKIM_VALID             Message has a valid signature
10.5 GTUBE                  BODY: Generic Test for Unsolicited Bulk Email

"""


@pytest.mark.parametrize(("scope", "score"), [(Scope.INCOMING, 15.8), (Scope.OUTGOING, 14.2)])
def test_a_report_is_summed_without_rules_about_the_way_for_outgoing_mail(scope, score):
    assert scanner.spamd_score(REPORT, scope) == score


def test_a_report_without_rules_is_a_plain_zero():
    score = scanner.spamd_score(b"SPAMD/1.1 0 EX_OK\r\n\r\n", Scope.INCOMING)
    assert f"{score}" == "0"


@pytest.mark.parametrize("answer", [b"", b"SPAMD/1.0 76 Bad header line\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_other_answers_of_spamd_are_refused(answer):
    with pytest.raises(HostileInput):
        scanner.spamd_score(answer, Scope.INCOMING)


def test_only_described_symbols_count():
    symbols = {
        "A": {"name": "A", "score": 1.1, "description": "text"},
        "B": {"name": "B", "score": 2.2, "description": "text"},
        "C": {"name": "C", "score": 99},
    }
    assert scanner.rspamd_score(json.dumps({"symbols": symbols, "score": 1}).encode()) == 3.3


@each(
    "answer",
    [
        b"",
        b"{}",
        b"[]",
        b"nonsense",
        b'{"symbols":[]}',
        b'{"symbols":{"A":5}}',
        b'{"symbols":{"A":{"description":"x"}}}',
        b'{"symbols":{"A":{"score":1e999,"description":"x"}}}',
        b'{"symbols":{"A":{"score":NaN,"description":"x"}}}',
    ],
)
def test_other_answers_of_rspamd_are_refused(answer):
    with pytest.raises(HostileInput):
        scanner.rspamd_score(answer)


@given(st.binary(max_size=300))
def test_no_answer_breaks_anything(answer):
    for read in (scanner.rspamd_score, lambda data: scanner.spamd_score(data, Scope.INCOMING)):
        with contextlib.suppress(HostileInput):
            assert isinstance(read(answer), (int, float))
    assert scanner.clamd_threat(answer)[1]


@each(
    "answer, threat, details",
    [
        (b"stream: OK\0", False, "No threats found"),
        (b"stream: Eicar-Test-Signature FOUND\0", True, "Eicar-Test-Signature"),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\n", True, "Win.Test.EICAR_HDB-1"),
        (b"INSTREAM size limit exceeded. ERROR\0", False, "Could not scan message"),
        (b"", False, "Could not scan message"),
    ],
)
def test_answers_of_clamd(answer, threat, details):
    assert scanner.clamd_threat(answer) == (threat, details)


def test_one_chunk_and_an_empty_one_go_to_clamd():
    assert scanner.clamd_request(b"x" * 258) == (b"zINSTREAM\0\x00\x00\x01\x02", b"\0\0\0\0")


@pytest.mark.parametrize(("scope", "extra"), [(Scope.INCOMING, set()), (Scope.OUTGOING, {"User", "Ip"})])
def test_rspamd_gets_the_envelope(scope, extra):
    about = scanner.About("tok", "a@b.example", "c@d.example\r\nPassword: x", scope)
    headers = scanner.rspamd_headers(about, "secret", "milter")
    assert headers["Deliver-To"] == headers["Rcpt"] == "c@d.example??Password: x"
    assert (headers["Queue-Id"], headers["From"], headers["Password"], headers["Flags"]) == (
        "tok",
        "a@b.example",
        "secret",
        "milter",
    )
    assert {name for name, value in headers.items() if not value} == extra
    assert "Password" not in scanner.rspamd_headers(about, "", "")
