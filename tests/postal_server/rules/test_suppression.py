import pytest

from postal_server.rules import suppression


@pytest.mark.parametrize(
    ("code", "output", "blamed"),
    [
        (550, "550 5.1.1 no such user", True),
        (550, "550 as asked", True),
        (554, "554 as asked", True),
        (552, "552 5.2.2 over quota", True),
        (550, "550-5.1.1 The account\n550 5.1.1 does not exist", True),
        (556, "556 5.1.10 no mail here", True),
        (None, "connection refused", True),
        (None, "", True),
        (None, "554 no mail here, timed out", True),
        (None, "421 4.7.0 [TSS04] deferred", False),
        (None, "Connection refused, 421 busy", False),
        (None, "535 5.7.8 wrong password", False),
        (None, "MTA-STS: self-signed certificate", False),
        (None, "Connection refused, DANE: STARTTLS is required, and not offered", False),
        (None, "unexpected answer to DATA: 250 OK", False),
        (450, "450 4.2.1 mailbox busy", True),
        (421, "421 4.1.1 whatever", False),
        (550, "550 5.7.1 blocked for reputation", False),
        (550, "550 5.7.26 unauthenticated", False),
        (451, "451 4.7.28 rate limited", False),
        (554, "554 message looks like spam", False),
        (550, "550 Access denied, SPF check failed", False),
        (553, "553 5.1.8 sender domain does not exist", False),
        (550, "550 5.3.4 message too big", False),
        (550, "550 5.6.7 no SMTPUTF8", False),
        (451, "451 4.4.1 no route", False),
    ],
)
def test_only_answers_about_the_person_blame_the_recipient(code, output, blamed):
    assert suppression.blames_recipient(code, output) is blamed
