import pytest

from postal_server.mail.bounce_shapes import ShapePart, find

EXIM = """A message that you sent could not be delivered to all of its recipients.

  a@dest.example
    host mx.dest.example: 550 5.1.1 User unknown

------ This is a copy of the message, including all the headers. ------

Received: from x
"""


def test_a_notice_names_its_recipients_and_their_reasons():
    shape = find(b"From: Mailer-Daemon@mx.example\r\n\r\n", EXIM)
    reason = "host mx.dest.example: 550 5.1.1 User unknown"
    assert shape.name == "exim"
    assert shape.parts == (ShapePart("a@dest.example", "failed", "5.1.1", reason),)
    assert shape.returned == "Received: from x\n"


@pytest.mark.parametrize("subject", ["Re: Mail delivery failed", "Fwd: failure notice", "AW: Unzustellbar"])
def test_what_people_say_about_a_notice_is_none(subject):
    assert find(f"From: ann@x.example\r\nSubject: {subject}\r\n\r\n".encode(), EXIM) is None
