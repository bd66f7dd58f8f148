"""docs/production.md, command by command, on a bare Debian 12: to a mail, its reply, and its late bounce.

The system is what debootstrap makes, with an empty home. systemd is its first process, in namespaces, so
that units run as they are. It has the network of a machine of its own, in which its firewall works and ports
25, 80, 443, 465 and 587 are really bound; all else that the internet has is on a second machine
(`internet.py`). What differs from a real machine:

- Packages are installed with the network of the machine that runs the drill, and all else without it.
- What `INSTEAD` in `production.py` names.

Every command and file of the page is taken from it, in order, so that a new one is run as well.
"""

from __future__ import annotations

import contextlib
import itertools
import shlex
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import dns.reversename
import pytest

from tests.faults import namespace
from tests.installed import run
from tests.readme import ROOT
from tests.story import talk
from tests.story.stranger import read, wait_for

from . import debian, internet, production
from .booted import booted
from .internet import Arrived, Internet
from .machines import Machine, Project
from .transcript import Transcript
from .walk import Command, File, Section

pytestmark = [pytest.mark.drill]

WEB_HOST, MAIL_HOST, TRACK_HOST = "postal.example.com", "mx.postal.example.com", "track.postal.example.com"
SITE, BOB = "www.example.com", "bob@example.net"
ADMINISTRATOR, PASSWORD = "root@example.com", "correct horse battery"
SECRETS = ("postal.yml", "secret.key", "signing.key")
# The project's own web server, which is not ours to document.
SERVE = """\
import ssl
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from mysite.wsgi import application


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("site.pem", "site.key")
server = make_server("", 443, application, Server)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
OWN_SETTINGS = f"""
DEBUG = False
ALLOWED_HOSTS = ["{SITE}"]
"""
DELIVERED = (
    "from talk.models import Event\nprint(*Event.objects.filter(kind='delivered').values_list('recipient'))"
)
REPLY = f"""\
From: {BOB}
To: {{to}}
Subject: Re: New message
Date: Tue, 3 Jan 2023 04:05:06 +0000
Message-ID: <answer@example.net>

Thank you!

On Tue, 3 Jan 2023 at 04:05, hello@example.com wrote:
> Shall we meet?
"""


class Drill:
    """One walk through the page. `WAYS`, `BEFORE` and `AFTER` below say where its methods belong."""

    def __init__(self, machine: Machine, net: Internet, database: str) -> None:
        self.machine = machine
        self.system = machine.system.debian
        self.net = net
        self.database = database
        self.transcript = machine.transcript
        self.project = Project(self.system, net.machine, self.transcript)
        self.said = ""  # by `initialize`
        self.stack = contextlib.ExitStack()

    def walk(self, section: Section) -> None:
        self.transcript.section(section.title)
        if event := BEFORE.get(section.title):
            event(self)
        for step in section.steps:
            if isinstance(step, File):
                self.write(step)
            elif isinstance(step, Command):
                self.type(step.text)
        if proof := AFTER.get(section.title):
            proof(self)

    def write(self, file: File) -> None:
        """Write a file of the page, or add to one that is there already."""
        path = self.system.path(file.path)
        if path.suffix == ".yml":
            path.write_text(f"{path.read_text('utf-8')}\n{file.text}", "utf-8")
        else:
            self.system.write(file.path, file.text)
        self.transcript.note(f"{file.path} is written")

    def type(self, command: str) -> None:
        way = next((way for start, way in WAYS.items() if command.startswith(start)), None)
        is_outside = command.startswith(production.OF_THE_INTERNET)
        if way:
            way(self, command)
        elif command.startswith(production.OF_THE_PROJECT):
            self.project.typed(command, is_outside=is_outside)
        else:
            self.machine.run(command, is_outside=is_outside)

    # Commands that need an answer, an init, or the other machine

    def build(self, command: str) -> None:
        """On the machine of a developer: this one, in the clone that this is."""
        began = time.monotonic()
        said = run(*shlex.split(command), cwd=ROOT)
        self.transcript.command(command, said, time.monotonic() - began)

    def copy(self, command: str) -> None:
        for path in [*(ROOT / "dist").glob("*.whl"), ROOT / "constraints.txt"]:
            shutil.copy(path, self.system.path("root"))
            shutil.copy(path, self.project.folder)
        self.transcript.note("the files are copied")

    def see_exim(self, command: str) -> None:
        """Debian's Exim is there, as on many machines: `initialize` says so, and the page's command."""
        self.machine.run("apt-get install --yes exim4-daemon-light", is_outside=True)
        self.machine.run("systemctl restart exim4")  # it has begun with the name servers of the outside
        wait_for(lambda: "LISTEN" in self.machine.run("ss -ltn 'sport = :25'"), "Exim")
        [initialize] = [each for each in production.commands() if "initialize --production" in each]
        done = self.machine.tried(initialize, given=production.urls())
        assert done.returncode == 1
        assert "Port 25 is taken by a program of the user root, which says '220 " in done.stdout
        assert "ESMTP Exim 4" in done.stdout
        assert not self.system.path("var/lib/postal/postal.yml").exists()
        assert "exim4" in self.machine.run(command)

    def initialize(self, command: str) -> None:
        self.said = self.machine.run(f"{command} {self.database}", given=production.urls())

    def initialize_staging(self, command: str) -> None:
        """Another machine has another folder, and nobody on its ports."""
        self.machine.run("systemctl stop postal-server")
        folder = self.system.path("var/lib/postal")
        folder.rename(folder.with_name("production"))
        self.machine.run("install --directory --owner postal --group postal --mode 0700 /var/lib/postal")
        self.said = self.machine.run(command)

    def be_certified(self, command: str) -> None:
        """Look for an answer at each name, as Let's Encrypt does, and lay the files as certbot does."""
        words = shlex.split(command)
        options = list(itertools.pairwise(words))
        names = [value for option, value in options if option == "--domain"]
        [webroot] = [value for option, value in options if option == "--webroot-path"]
        self.challenge(webroot, names)
        self.lay_certificate(names)
        self.transcript.note(f"{', '.join(names)} answer on port 80, and have a certificate")

    def challenge(self, webroot: str, names: list[str]) -> None:
        token = "answer-to-the-challenge"
        answer = self.system.write(f"{webroot}/.well-known/acme-challenge/token", token)
        for name in names:
            assert self.net.fetch(f"http://{name}/.well-known/acme-challenge/token") == token
        answer.unlink()

    def lay_certificate(self, names: list[str]) -> None:
        """The files of certbot 2: folders for root alone, and links to the newest."""
        archive, live = (
            self.system.path(f"etc/letsencrypt/{kind}/{names[0]}") for kind in ("archive", "live")
        )
        for folder in (archive, live):
            folder.mkdir(parents=True, exist_ok=True)
            folder.parent.chmod(0o700)
        number = len(list(archive.glob("privkey*"))) + 1
        chain, key = self.net.authority.issue(*names)
        for name, text, mode in (("fullchain", chain, 0o644), ("privkey", key, 0o600)):
            made = archive / f"{name}{number}.pem"
            made.write_text(text, "ascii")
            made.chmod(mode)
            (live / f"{name}.pem").unlink(missing_ok=True)
            (live / f"{name}.pem").symlink_to(f"../../archive/{names[0]}/{made.name}")

    def make_user(self, command: str) -> None:
        self.machine.run(command, given=f"{ADMINISTRATOR}\n{PASSWORD}\n{PASSWORD}\n")

    def install_in_the_project(self, command: str) -> None:
        """The project is there already, with Django; the page begins where ours is installed."""
        self.system.run("python3", "-m", "venv", f"{self.project.place}/.venv")
        self.project.typed(command, is_outside=True)
        talk.write(self.project, self.said, BOB)
        self.project.append("mysite/settings.py", OWN_SETTINGS)
        self.project.write("serve.py", SERVE)
        for name, text in zip(("site.pem", "site.key"), self.net.authority.issue(SITE), strict=True):
            self.project.write(name, text)
        self.stack.enter_context(self.project.serving("python", "serve.py"))
        wait_for(lambda: self.is_open(internet.ELSEWHERE, 443), "the project")

    # What sections lead to

    def firewall_is_closed(self) -> None:
        with self.machine.host.entered():
            listening = socket.create_server(("", 3306))
        with listening:
            assert not self.is_open(internet.SERVER, 3306)
        self.transcript.note("another port cannot be reached from outside")

    def initialized(self) -> None:
        folder = self.system.path("var/lib/postal")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for name in SECRETS:
            status = (folder / name).stat()
            assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, folder.stat().st_uid)
        assert "It may send from addresses at example.com only" in self.said
        assert "(user name example/main, port 587)" in self.said
        published = self.net.zone.publish(self.said)
        self.transcript.note(f"the {published} DNS records that it printed are published")

    def names_are_known(self) -> None:
        """What `dig` printed is looked at here, where it is known what it should be."""
        for question, answer in (
            (f"-x {internet.SERVER}", f"{MAIL_HOST}.\n"),
            ("MX example.com", f"10 {MAIL_HOST}.\n"),
            (f"TXT spf.{WEB_HOST}", f'"v=spf1 ip4:{internet.SERVER} ~all"\n'),
        ):
            assert self.machine.run(f"dig +short {question}") == answer

    def served(self) -> None:
        """From outside: mail by STARTTLS and TLS, and the API over https, all with a valid certificate."""
        for port in (25, 587):
            with self.net.mail_client(MAIL_HOST, port) as client:
                assert client.ehlo()[0] == 250
        plain = self.net.connect(MAIL_HOST, 465)
        with self.net.authority.trusted().wrap_socket(plain, server_hostname=MAIL_HOST) as secure:
            assert secure.recv(3) == b"220"
        assert '"keys"' in self.net.fetch(f"https://{WEB_HOST}/.well-known/jwks.json")
        self.renew()
        self.transcript.note("25, 587, 465 and 443 have valid certificates; a renewed one is shown at once")

    def renew(self) -> None:
        """certbot renews: its challenge goes through the site, its hooks tell SMTP and nginx."""
        names = [WEB_HOST, MAIL_HOST, TRACK_HOST]
        self.challenge("/var/www/html", names)
        before, before_by_nginx = self.shown_certificate(), self.certificate_of_nginx()
        self.lay_certificate(names)
        lineage = f"/etc/letsencrypt/live/{WEB_HOST}"
        for hook in ("postal", "postal-nginx"):
            self.machine.run(f"RENEWED_LINEAGE={lineage} /etc/letsencrypt/renewal-hooks/deploy/{hook}")
        wait_for(lambda: self.shown_certificate() != before, "the renewed certificate")
        wait_for(lambda: self.certificate_of_nginx() != before_by_nginx, "the renewed certificate of nginx")

    def certificate_of_nginx(self) -> bytes:
        plain, trusted = self.net.connect(WEB_HOST, 443), self.net.authority.trusted()
        with trusted.wrap_socket(plain, server_hostname=WEB_HOST) as secure:
            shown = secure.getpeercert(binary_form=True)
            assert shown
            return shown

    def shown_certificate(self) -> bytes:
        with self.net.mail_client(MAIL_HOST) as client:
            shown = client.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]
            assert shown
            return shown

    def sent(self) -> None:
        """The test mail has arrived, signed and encrypted, and the project knows."""
        mail = self.arrived("you@example.net")
        assert (mail.signed_by, mail.is_encrypted) == ("example.com", True)
        wait_for(lambda: "you@example.net" in self.project.shell(DELIVERED), "the event")
        self.transcript.note(f"the mail arrived from {mail.sender}, by TLS, signed by {mail.signed_by}")
        self.transcript.note("the project has the event delivered, by a signed webhook")

    def replied(self) -> None:
        self.project.shell(talk.NOTIFY)
        mail = self.arrived(BOB)
        [address] = read(mail.content)["Reply-To"].addresses
        host, version = self.net.deliver(BOB, address.addr_spec, REPLY.format(to=address.addr_spec))
        said = wait_for(lambda: talk.notes(self.project), "the reply")
        assert said == [("bob", "Thank you!")]
        self.transcript.note(f"Bob's answer went to {host}, by {version}; the project has {said}")

    def bounced(self) -> None:
        """The report comes before the page's commands look at it."""
        mail = self.arrived(BOB)
        message: EmailMessage = read(mail.content)
        host, _ = self.net.deliver("", mail.sender, talk.report(message, mail.sender, BOB))
        said = wait_for(lambda: talk.events(self.project, "bounced"), "the bounce")
        assert said == [(BOB, "invalid", "bad_address")]
        self.transcript.note(f"the report to {mail.sender} went to {host}; the project has {said}")

    def listed(self) -> None:
        assert BOB in self.machine.run("runuser -u postal -- postal-server suppressions list")

    def slowed_down(self) -> None:
        """The rules of the file are in force after a start."""
        self.machine.run("systemctl restart postal-server")

    def staged(self) -> None:
        text = self.system.path("var/lib/postal/postal.yml").read_text("utf-8")
        assert "mode: allowlist" in text

    # Looking from outside

    def arrived(self, recipient: str) -> Arrived:
        def look() -> Arrived | None:
            return next((mail for mail in reversed(self.net.arrived) if recipient in mail.recipients), None)

        found = wait_for(look, f"the mail to {recipient}")
        assert found
        return found

    def is_open(self, address: str, port: int) -> bool:
        with self.net.machine.entered(), contextlib.suppress(OSError):
            socket.create_connection((address, port), 1).close()
            return True
        return False


Way = Callable[[Drill, str], None]
Event = Callable[[Drill], None]
# By how the command begins.
WAYS: dict[str, Way] = {
    "make dist": Drill.build,
    "scp ": Drill.copy,
    ". ~/.profile": lambda drill, command: None,
    "ss ": Drill.see_exim,
    "runuser -u postal -- postal-server initialize --production ": Drill.initialize,
    "runuser -u postal -- postal-server initialize --staging ": Drill.initialize_staging,
    "runuser -u postal -- postal-server make-user": Drill.make_user,
    "certbot ": Drill.be_certified,
    "pip install ": Drill.install_in_the_project,
}
BEFORE: dict[str, Event] = {"The first late bounce": Drill.bounced}
AFTER: dict[str, Event] = {
    "Firewall": Drill.firewall_is_closed,
    "Initialize": Drill.initialized,
    "DNS": Drill.names_are_known,
    "Service": Drill.served,
    "The Django project": Drill.sent,
    "The first reply": Drill.replied,
    "The first late bounce": Drill.listed,
    "The first week": Drill.slowed_down,
    "Staging": Drill.staged,
}


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def drill(
    request: pytest.FixtureRequest, tmp_path: Path, transcribe: Callable[[str], Transcript]
) -> Iterator[Drill]:
    """A bare system, and an internet that knows its addresses already, as the page's beginning wants it."""
    title = f"docs/production.md on a bare Debian 12, with {request.param}"
    addresses = (internet.SERVER, internet.ELSEWHERE)
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(debian.bare())
        system.path("usr/sbin/policy-rc.d").unlink()  # packages start their daemons
        here, elsewhere = stack.enter_context(namespace.two_machines(addresses))
        here.reach_all_by(internet.ELSEWHERE)
        net = stack.enter_context(internet.connected(elsewhere, tmp_path))
        for name in (WEB_HOST, MAIL_HOST, TRACK_HOST):
            net.zone.add(name, "A", internet.SERVER)
        net.zone.add(dns.reversename.from_address(internet.SERVER).to_text(), "PTR", f"{MAIL_HOST}.")
        system.trust("drill", net.authority.certificate)
        with here.entered():
            running = stack.enter_context(booted(system, has_own_network=False))
        made = Drill(
            Machine(running, here, transcribe(title)),
            net,
            production.postgresql() if request.param == "PostgreSQL" else "",
        )
        stack.callback(made.stack.close)
        yield made


def test_the_page_leads_from_a_bare_system_to_mail_and_back(drill: Drill) -> None:
    for section in production.page():
        if section.title != "Database" or drill.database:
            drill.walk(section)
