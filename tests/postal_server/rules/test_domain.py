import pytest

from postal_server.rules import domain
from postal_server.rules.domain import DnsStatus
from tests.each import each

OK, MISSING, INVALID = DnsStatus.OK, DnsStatus.MISSING, DnsStatus.INVALID
KEY = "v=DKIM1; t=s; h=sha256; p=AAAA;"


@each(
    "found, status, error",
    [
        (["v=spf1 a mx include:spf.example ~all"], OK, ""),
        (["other", "V=SPF1 +include:SPF.example -all"], OK, ""),
        ([], MISSING, "No SPF record exists for this domain"),
        (["verification"], MISSING, "No SPF record exists for this domain"),
        (["v=spf1 mx ~all"], INVALID, "An SPF record exists but it doesn't include spf.example"),
        (
            ["v=spf1 include:spf.example ~all", "v=spf1 mx -all"],
            INVALID,
            "There are 2 SPF records for this domain. There should only be one.",
        ),
        (
            ["v=spf1 include:spf.example ~all", "V=SPF1", "v=spf1 include:spf.example -all"],
            INVALID,
            "There are 3 SPF records for this domain. There should only be one.",
        ),
        (["v=spf1 include:spf.example ~all", "v=spf10 -all", "v=spf1; no"], OK, ""),
        (
            ["v=spf1 include:nospf.example ~all"],
            INVALID,
            "An SPF record exists but it doesn't include spf.example",
        ),
    ],
)
def test_spf(found, status, error):
    assert domain.check_spf(found, "spf.example") == domain.Check(status, error)


@each(
    "found, status, error",
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


@each(
    "found, status, error",
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
    assert check("n", ["rp.example", "x.example"], "rp.example") == domain.Check(
        INVALID, "There are 2 records at n. There should only be one."
    )
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


@pytest.mark.parametrize(
    ("policy", "record", "other"),
    [
        (domain.POLICIES[0], "v=DMARC1; p=none", "V = dmarc1;p=reject"),
        (domain.POLICIES[1], "v=STSv1; id=1;", "v=STSv1;id=2"),
        (domain.POLICIES[2], "v=TLSRPTv1; rua=mailto:a@b.example", "v=TLSRPTv1;rua=https://b.example"),
    ],
    ids=[policy.what for policy in domain.POLICIES],
)
def test_policy_is_published_once_or_not_at_all(policy, record, other):
    assert domain.check_policy(policy, "d.example", []).status is MISSING
    assert domain.check_policy(policy, "d.example", [record, "something else"]).status is OK
    assert domain.check_policy(policy, "d.example", [record, other]) == domain.Check(
        INVALID,
        f"There are 2 {policy.what} records at {policy.prefix}.d.example. There should only be one.",
    )


def test_domain_is_claimed_once():
    def check(*found):
        return domain.check_ownership("d.example", found, "postal-verification")

    assert check("v=spf1 -all", "postal-verification-2 a").status is MISSING
    assert check("postal-verification a").status is OK
    assert check("postal-verification a", "x", "postal-verification b") == domain.Check(
        INVALID, "There are 2 postal-verification records at d.example. There should only be one."
    )


def test_second_key_is_published_once():
    assert [domain.check_second_key("k", ["x"] * count).status for count in range(3)] == [
        MISSING,
        OK,
        INVALID,
    ]
