"""How far the stranger has come: each fixture is where a chapter leads to."""

from __future__ import annotations

import re
import signal
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage

import pytest

from postal_server.testing import free_ports

from ..installed import commands_of_new_environment
from . import talk
from .stranger import Browser, Stranger, read, wait_for

SERVER, APP_URL = "http://127.0.0.1:5000", "http://127.0.0.1:8000/anymail/postal/tracking/"
ADMINISTRATOR, PASSWORD = "root@example.test", "correct horse battery"


@dataclass(frozen=True)
class Caught:
    """A mail that the server caught, and its envelope sender."""

    message: EmailMessage
    return_path: str


@pytest.fixture(scope="package")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """Chapter 1: the package is installed, by the README's words."""
    folder = tmp_path_factory.mktemp("story")
    ports = dict(zip((5000, 2525, 2526, 8000), free_ports(4), strict=True))
    stranger = Stranger(folder, commands_of_new_environment(tmp_path_factory), ports)
    yield stranger
    stranger.stop()


@pytest.fixture(scope="package")
def initialized(installed: Stranger) -> str:
    """Chapter 2: what `initialize` said."""
    return installed.run(*installed.command("README.md", "postal-server", "initialize"))


@pytest.fixture(scope="package")
def server(installed: Stranger, initialized: str) -> Iterator[Browser]:
    """Chapter 2: the mail server runs, and its administrator has logged in."""
    installed.start(*installed.command("README.md", "postal-server", "run"), ready=f"{SERVER}/health")
    make_user = installed.command("docs/server.md", "postal-server", "make-user")
    installed.run(*make_user, given=f"{ADMINISTRATOR}\n{PASSWORD}\n{PASSWORD}\n")
    browser = Browser(installed.here(SERVER))
    browser.fill("/admin/login/?next=/admin/", username=ADMINISTRATOR, password=PASSWORD)
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def project(installed: Stranger, initialized: str, server: Browser) -> Stranger:
    """Chapter 3: a Django project uses the server, takes what it posts, and runs."""
    stranger = installed
    talk.write(stranger, initialized)
    address = stranger.here("127.0.0.1:8000")
    stranger.start(
        "python", "manage.py", "runserver", "--noreload", address, ready=APP_URL, ends=-signal.SIGTERM
    )
    return stranger


@pytest.fixture(scope="package")
def notification(project: Stranger, server: Browser) -> Caught:
    """Chapter 4: a notification was sent to Bob, and caught."""
    project.shell(talk.NOTIFY)
    return wait_for(lambda: caught(server, "bob@example.com"), "the notification")


@pytest.fixture(scope="package")
def bounced(project: Stranger, notification: Caught) -> talk.Event:
    """Chapter 6: what the project heard as the notification came back hours later."""
    report = talk.report(notification.message, notification.return_path)
    post(project, "", notification.return_path, report)
    return wait_for(lambda: talk.events(project, "bounced"), "the bounce")[0]


def post(stranger: Stranger, sender: str, recipient: str, mail: str) -> None:
    """Hand a mail to the server, as another mail server does."""
    with smtplib.SMTP("127.0.0.1", stranger.ports[2525]) as client:
        client.sendmail(sender, [recipient], mail.replace("\n", "\r\n").encode())


def caught(server: Browser, recipient: str) -> Caught | None:
    """The newest caught mail to somebody, as the administration has it."""
    pages = server.links(
        f"/admin/postal_server/caughtmail/?q={recipient}",
        r"/admin/postal_server/caughtmail/\d+/change/[^\"]*",
    )
    if not pages:
        return None
    page = pages[0]
    [download] = server.links(page, r"/admin/postal_server/caughtmail/\d+/raw/")
    [return_path] = dict.fromkeys(re.findall(r"[\w.+-]+@rp\.localhost", server.get(page).text))
    return Caught(read(server.get(download).content), return_path)
