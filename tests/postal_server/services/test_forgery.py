"""Whoever knows all that a recipient may know has nobody suppressed but himself.

He knows the mail server's token, the Message-ID and the addresses of a mail that he got with others, and the
token of his own message.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postal_server.models import FailureEvidence, Message, Report, Suppression
from postal_server.services.preparation import messages
from postal_server.services.results import record as results
from tests.postal_server.services.conftest import NOW, store
from tests.postal_server.services.reports import (
    POSTALS_PATH,
    arrived,
    feedback,
    group,
    path_of,
    status_report,
    token_field,
)

pytestmark = [pytest.mark.django_db]
VICTIM, MALLORY = "victim@dest.example", "mallory@dest.example"
MESSAGE_ID = "Message-ID: <x@rp.postal.example.test>\n"
ADDRESSES = st.sampled_from([VICTIM, MALLORY, "VICTIM@DEST.example", "x@other.example", None])
ACTIONS = st.sampled_from(["failed", "delayed", "delivered", "Failed (x)", ""])
STATUSES = st.sampled_from(["5.1.1", "5.1.2", "5.2.1", "5.2.2", "4.4.1", "5.0.0"])
WORDS = st.sampled_from(["", "550 5.1.1 No such user", "550 mailbox disabled", "552 5.2.2 over quota"])
GROUPS = st.lists(
    st.builds(
        lambda to, action, status, original, words: group(
            to, action, status, original=original, diagnostic=words
        ),
        ADDRESSES,
        ACTIONS,
        STATUSES,
        ADDRESSES,
        WORDS,
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def mails(draw: st.DrawFn):
    """How to make a mail and where it goes, from what Mallory knows: the token of his own message."""
    groups, is_own_path = draw(GROUPS), draw(st.booleans())
    has_token, has_message_id = draw(st.booleans()), draw(st.booleans())
    envelope, form = draw(st.booleans()), draw(st.sampled_from(["status", "feedback", "text"]))
    reverse_path = draw(st.sampled_from([None, MALLORY, VICTIM]))
    days = draw(st.integers(0, 5))

    def make(own: int):
        returned = (token_field(own) if has_token else "") + (MESSAGE_ID if has_message_id else "")
        if form == "feedback":
            raw = feedback("abuse", returned)
        elif form == "text":
            text = (
                f"From: MAILER-DAEMON@dest.example\nSubject: failure notice\n\n<{VICTIM}>:\nNo such user\n\n"
            )
            raw = (text + returned).replace("\n", "\r\n").encode()
        else:
            token = token_field(own).partition(": ")[2].strip()
            raw = status_report(*groups, returned=returned, envelope_id=token if envelope else "")
        return raw, path_of(own) if is_own_path else POSTALS_PATH, reverse_path

    return make, days


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(mails(), min_size=1, max_size=6))
def test_no_sequence_of_mails_suppresses_another_recipient(world, config, sequence):
    for model in (Message, Report, Suppression, FailureEvidence):
        model.objects.all().delete()
    _, own = (claim.id for claim in store(world, VICTIM, MALLORY))
    directory = world.directory()
    now = NOW
    for make, days in sequence:
        raw, path, reverse_path = make(own)
        now += timedelta(days=days)
        claims = [arrived(world, raw, path, reverse_path)]
        results.record(messages.prepare(claims, directory, config, NOW), directory, config, now)
    assert set(Suppression.objects.values_list("key", flat=True)) <= {MALLORY}
    assert set(FailureEvidence.objects.values_list("key", flat=True)) <= {MALLORY}


def test_mallory_suppresses_himself_by_the_same_means(world, config):
    """So that the test above proves something."""
    _, own = (claim.id for claim in store(world, VICTIM, MALLORY))
    directory = world.directory()
    report = status_report(group(MALLORY), group(VICTIM), returned=MESSAGE_ID)
    claims = [arrived(world, report, path_of(own)), arrived(world, report, POSTALS_PATH)]
    results.record(messages.prepare(claims, directory, config, NOW), directory, config, NOW)
    assert list(Suppression.objects.values_list("key", flat=True)) == [MALLORY]
    assert set(Message.objects.filter(status="Bounced").values_list("rcpt_to", flat=True)) == {
        VICTIM,
        MALLORY,
    }
