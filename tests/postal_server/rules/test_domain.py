import pytest

from postal_server.rules import domain
from postal_server.rules.domain import DnsStatus

OK, MISSING, INVALID = DnsStatus.OK, DnsStatus.MISSING, DnsStatus.INVALID
KEY = "v=DKIM1; t=s; h=sha256; p=AAAA;"


@pytest.mark.parametrize(
    ("found", "status", "error"),
    [
        (["v=spf1 a mx include:spf.example ~all"], OK, ""),
        (["other", "V=SPF1 +include:SPF.example -all"], OK, ""),
        ([], MISSING, "No SPF record exists for this domain"),
        (["verification"], MISSING, "No SPF record exists for this domain"),
        (["v=spf1 mx ~all"], INVALID, "An SPF record exists but it doesn't include spf.example"),
        (
            ["v=spf1 include:nospf.example ~all"],
            INVALID,
            "An SPF record exists but it doesn't include spf.example",
        ),
    ],
)
def test_spf(found, status, error):
    assert domain.check_spf(found, "spf.example") == domain.Check(status, error)


@pytest.mark.parametrize(
    ("found", "status", "error"),
    [
        ([KEY], OK, ""),
        ([KEY.rstrip(";")], OK, ""),
        (["v=DKIM1;t=s;h=sha256;p=AA AA"], OK, ""),
        ([], MISSING, "No TXT records were returned for k"),
        ([KEY, KEY], INVALID, "There are 2 records for at k. There should only be one."),
        (
            ["v=DKIM1; p=BBBB;"],
            INVALID,
            "The DKIM record at k does not match the record we have provided. "
            "Please check it has been copied correctly.",
        ),
    ],
)
def test_dkim(found, status, error):
    assert domain.check_dkim("k", found, KEY) == domain.Check(status, error)


@pytest.mark.parametrize(
    ("found", "status", "error"),
    [
        (["mx2.example", "MX1.example", "other"], OK, ""),
        ([], MISSING, "There are no MX records for d"),
        (["other"], MISSING, "You have MX records but none of them point to us."),
        (["mx1.example"], INVALID, "MX record for mx2.example are missing and are required."),
    ],
)
def test_mx(found, status, error):
    assert domain.check_mx("d", found, ["mx1.example", "mx2.example"]) == domain.Check(status, error)


def test_several_missing_hosts_are_listed():
    check = domain.check_mx("d", ["a"], ["a", "b", "c"])
    assert check.error == "MX records for b and c are missing and are required."


@pytest.mark.parametrize(
    ("check", "missing"),
    [
        (domain.check_return_path, "There is no return path record at n"),
        (domain.check_track_domain, "There is no record at n"),
    ],
)
def test_aliases(check, missing):
    assert check("n", ["RP.example"], "rp.example").status is OK
    assert check("n", [], "rp.example") == domain.Check(MISSING, missing)
    assert check("n", ["x.example"], "rp.example") == domain.Check(
        INVALID,
        "There is a CNAME record at n but it points to x.example which is incorrect. "
        "It should point to rp.example.",
    )


@pytest.mark.parametrize(
    ("found", "verified"),
    [(["a", "postal-verification tok"], True), (["x postal-verification tok"], False), ([], False)],
)
def test_ownership_is_one_whole_string(found, verified):
    assert domain.is_verified(found, "postal-verification tok") is verified
