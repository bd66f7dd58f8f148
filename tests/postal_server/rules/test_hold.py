import pytest

from postal_server import conf
from postal_server.rules import hold
from postal_server.rules.hold import HoldReason
from postal_server.rules.status import ServerMode
from tests.each import each

# Postal's own words (contract, appendix A); it has no others.
POSTALS = {
    HoldReason.SUPPRESSED: "Recipient (a@b.example) is on the suppression list (reason: too many hard fails)",
    HoldReason.SEND_LIMIT: "Message held because send limit (10) has been reached.",
    HoldReason.DEVELOPMENT_MODE: "Server is in development mode.",
    HoldReason.CREDENTIAL: "Credential is configured to hold all messages authenticated by it.",
    HoldReason.SUSPENDED: (
        "Mail server has been suspended. No e-mails can be processed at present. Contact support for "
        "assistance."
    ),
    HoldReason.SPAM: "Message placed into quarantine.",
    HoldReason.ROUTE: "Message has been accepted but not sent to any endpoints.",
}


@each(
    "mode, manual, held",
    [
        (ServerMode.LIVE, False, False),
        (ServerMode.LIVE, True, False),
        (ServerMode.DEVELOPMENT, False, True),
        (ServerMode.DEVELOPMENT, True, False),
    ],
)
def test_development_servers_hold_what_was_not_released(mode, manual, held):
    assert (hold.by_mode(mode, manual) == hold.by(HoldReason.DEVELOPMENT_MODE)) is held


@pytest.mark.parametrize(
    ("holding", "manual", "held"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_holding_credential_holds_what_was_not_released(holding, manual, held):
    assert (hold.by_credential(holding, manual) == hold.by(HoldReason.CREDENTIAL)) is held


@pytest.mark.parametrize("why", ["too many hard fails", "asked {nicely}", ""])
def test_a_suppressed_recipient_is_held_with_the_reason(why):
    assert hold.by_suppression("{a}@b.example", why) == hold.Hold(
        HoldReason.SUPPRESSED, f"Recipient ({{a}}@b.example) is on the suppression list (reason: {why})"
    )


@each("volume, limit, held", [(9, 10, False), (10, 10, True), (99, None, False), (0, 0, True)])
def test_the_send_limit_holds_from_the_limit_on(volume, limit, held):
    text = f"Message held because send limit ({limit}) has been reached."
    assert (hold.by_send_limit(volume, limit) == hold.Hold(HoldReason.SEND_LIMIT, text)) is held


@each("volume, limit, near", [(89, 100, False), (90, 100, True), (100, 100, False), (9, None, False)])
def test_the_limit_is_near_from_nine_tenths_on(volume, limit, near):
    assert hold.is_limit_approaching(volume, limit) is near


def test_each_reason_has_a_sentence_and_fits_its_column():
    assert set(hold.SENTENCES) == set(HoldReason)
    assert all(len(reason.value) <= 16 for reason in HoldReason)


def test_the_configuration_knows_the_reasons():
    assert {reason.value for reason in HoldReason} == set(conf.HOLD_REASONS)


@each("reason, sentence", POSTALS.items(), ids=[reason.value for reason in POSTALS])
def test_what_a_postal_wrote_down_is_understood(reason, sentence):
    assert hold.reason_of(sentence) is reason


@each("sentence", ["", "x", "Server is in development mode. Or not", "Recipient () is on"])
def test_other_sentences_name_no_reason(sentence):
    assert hold.reason_of(sentence) is None
