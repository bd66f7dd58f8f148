from __future__ import annotations

import gzip
import json
from datetime import date
from email import message_from_bytes
from email.policy import default

from postal_server.mail.tls_report import Failures, PolicyResult, Report, addresses, compose
from tests.each import each

FAILURES = Failures("certificate-expired", 3, "mx.dest.example", "192.0.2.1", "198.51.100.1", "expired")
REPORT = Report(
    id="1@sender.example",
    organization="mx.sender.example",
    contact="postmaster@sender.example",
    domain="dest.example",
    day=date(2026, 1, 2),
    policies=[
        PolicyResult("sts", ["version: STSv1", "mode: testing"], ["*.dest.example"], 5326, [FAILURES]),
        PolicyResult("no-policy-found", [], [], 7, []),
    ],
)


@each(
    "records, found",
    [
        (["v=TLSRPTv1;rua=mailto:reports@dest.example"], ["reports@dest.example"]),
        (["v=TLSRPTv1; rua=mailto:a@dest.example, https://dest.example/x ;"], ["a@dest.example", "https://dest.example/x"]),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a%2Bb@dest.example"], ["a+b@dest.example"]),
        (["v=TLSRPTv1; rua=mailto:a@dest.example?subject=x"], ["a@dest.example"]),
        ([], []),
        (["v=TLSRPTv1;rua=mailto:a@x.example"] * 2, []),
        (["v=TLSRPTv2;rua=mailto:a@x.example"], []),
        (["v=TLSRPTv1;"], []),
        (["v=TLSRPTv1;rua=http://dest.example/"], []),
        (["v=TLSRPTv1;rua=mailto:nobody"], []),
        (["v=TLSRPTv1;rua=mailto:a@b.example\r\nBcc: x@y.example"], []),
        (["v=TLSRPTv1;rua=https://[::"], []),
        (["v=TLSRPTv1;rua=" + ",".join(["mailto:a@x.example"] * 99)], ["a@x.example"] * 5),
    ],
)  # fmt: skip
def test_where_reports_go(records, found):
    assert addresses(records) == found


def test_a_report():
    assert json.loads(gzip.decompress(REPORT.compressed())) == {
        "organization-name": "mx.sender.example",
        "date-range": {"start-datetime": "2026-01-02T00:00:00Z", "end-datetime": "2026-01-02T23:59:59Z"},
        "contact-info": "mailto:postmaster@sender.example",
        "report-id": "1@sender.example",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-domain": "dest.example",
                    "policy-string": ["version: STSv1", "mode: testing"],
                    "mx-host": ["*.dest.example"],
                },
                "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 3},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "198.51.100.1",
                        "receiving-mx-hostname": "mx.dest.example",
                        "receiving-ip": "192.0.2.1",
                        "failure-reason-code": "expired",
                        "failed-session-count": 3,
                    }
                ],
            },
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "dest.example"},
                "summary": {"total-successful-session-count": 7, "total-failure-session-count": 0},
            },
        ],
    }


def test_the_mail_that_brings_it():
    raw = compose(
        REPORT,
        ["a@dest.example", "b@dest.example"],
        message_id="m@sender.example",
        date="Sat, 03 Jan 2026 01:00:00 +0000",
        name="Müller, Post",
    )
    assert b"\r\n" in raw
    mail = message_from_bytes(raw, policy=default)
    assert mail.get_content_type() == "multipart/report"
    assert mail.get_param("report-type") == "tlsrpt"
    assert mail["From"].addresses[0].addr_spec == "postmaster@sender.example"
    assert mail["From"].addresses[0].display_name == "Müller, Post"
    assert mail["To"] == "a@dest.example, b@dest.example"
    assert mail["Subject"] == (
        "Report Domain: dest.example Submitter: sender.example Report-ID: <1@sender.example>"
    )
    assert mail["TLS-Report-Domain"] == "dest.example"
    assert mail["TLS-Report-Submitter"] == "sender.example"
    assert mail["TLS-Required"] == "No"
    text, report = mail.iter_parts()
    assert "02 Jan 2026" in text.get_content()
    assert report.get_content_type() == "application/tlsrpt+gzip"
    assert report.get_filename() == "sender.example!dest.example!1767312000!1767398399!1.json.gz"
    assert report.get_content() == REPORT.compressed()
