"""Fill an installation with messages that were sent, for reports about them. Runs in a separate process.

    python -m benchmarks.reports POSTAL.YML NUMBER

Prints their return paths as JSON; `report` is what a mail host sends to one.
"""

from __future__ import annotations

import argparse
import json

from .fill import fill, set_up_django
from .load import DESTINATIONS, SENDER, mail, recipient

SIZE = 10_240
FULL = "5.2.2", "552 5.2.2 The email account that you tried to reach is over quota"
UNKNOWN = "5.1.1", "550 5.1.1 The email account that you tried to reach does not exist"


def report(number: int, why: tuple[str, str]) -> bytes:
    """Postfix's report of 10 KB that message `number` could not be delivered."""
    address = recipient(number, DESTINATIONS)
    status, answer = why
    head = (
        "From: MAILER-DAEMON@mx.dest.example (Mail Delivery System)\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="part"\r\n\r\n'
        "--part\r\nContent-Type: text/plain\r\n\r\nThis is the mail system at host mx.dest.example.\r\n\r\n"
        f"<{address}>: host store.dest.example said: {answer}\r\n    (in reply to RCPT TO command)\r\n\r\n"
        "--part\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.dest.example\r\n\r\n"
        f"Final-Recipient: rfc822; {address}\r\nAction: failed\r\nStatus: {status}\r\n"
        f"Remote-MTA: dns; store.dest.example\r\nDiagnostic-Code: smtp; {answer}\r\n\r\n"
        "--part\r\nContent-Type: message/rfc822\r\n\r\n"
    ).encode()
    end = b"\r\n--part--\r\n"
    return head + mail(SIZE - len(head) - len(end)) + end


def return_paths() -> list[str]:
    from postal_server.conf import config
    from postal_server.models import Message
    from postal_server.services.shared.loader import load
    from postal_server.services.shared.token import return_path

    [server] = load().server_by_token.values()
    ids = Message.objects.filter(mail_from=SENDER).order_by("pk").values_list("pk", flat=True)
    return [return_path(server, None, number, config()) for number in ids]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("configuration")
    parser.add_argument("number", type=int)
    given = parser.parse_args()
    set_up_django(given.configuration)
    fill(given.number, queued=False)
    print(json.dumps(return_paths()))


if __name__ == "__main__":
    main()
