from __future__ import annotations

from postal_server import errors
from postal_server.mail.smtp_reply import Reply
from postal_server.smtpd import replies
from tests.each import each


@each(
    "error, code, text",
    [
        (errors.InvalidServerToken(), 550, "Invalid server token"),
        (errors.InvalidRouteToken(), 550, "Invalid route token"),
        (errors.RouteRejects(), 550, "Route does not accept incoming messages"),
        (errors.ServerSuspended(), 535, "Mail server has been suspended"),
        (errors.AuthenticationRequired(), 530, "Authentication required"),
        (errors.LoopDetected(), 550, "Loop detected"),
        (errors.UnauthenticatedFromAddress(), 530, "From/Sender name is not valid"),
        (errors.FromAddressMissing(), 530, "From/Sender name is not valid"),
        (errors.Busy("full"), 452, "Insufficient system storage, try again later"),
        (errors.NoContent(), 550, "There is no content defined for this e-mail"),
    ],
)
def test_a_refusal_has_postal_s_code_and_text(error, code, text):
    reply, _ = replies.answer_to(error)
    assert (reply.code, reply.text) == (code, text)
    assert reply.enhanced
    assert reply.enhanced[0] == str(code)[0]


def test_every_reply_of_ours_has_an_enhanced_code_of_its_class():
    own = [value for value in vars(replies).values() if isinstance(value, Reply) and value.code != 354]
    assert len(own) > 20
    assert all(reply.enhanced and reply.enhanced[0] == str(reply.code)[0] for reply in own)


def test_a_text_of_a_peer_s_cannot_add_a_reply():
    assert replies.encode(Reply(550, "no\r\n250 yes", "5.0.0")) == b"550-5.0.0 no \r\n550 5.0.0 250 yes\r\n"
