from postal_server.mail.report import Kind, Part
from postal_server.services.results.report import Reported
from postal_server.wire.report import report_hash


def test_a_report_is_shown_with_null_for_what_it_does_not_say():
    part = Part("new@elsewhere.example", original_recipient="ann@example.com", action="failed")
    reported = Reported(
        7, Kind.BOUNCE, part, is_strong=True, is_forwarded=True, reporting_mta="mx.example.com"
    )
    assert report_hash(reported) == {
        "kind": "bounce",
        "evidence": "strong",
        "final_recipient": "new@elsewhere.example",
        "original_recipient": "ann@example.com",
        "action": "failed",
        "reporting_mta": "mx.example.com",
        "remote_mta": None,
        "forwarded": True,
    }
    assert report_hash(Reported(7, Kind.BOUNCE))["action"] is None
