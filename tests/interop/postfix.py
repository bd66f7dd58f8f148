"""A Postfix of our own: its folder, its ports, nothing of the machine's."""

from __future__ import annotations

import contextlib
import email
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

from postal_server.testing import free_ports
from tests.certificates import write_certificate

from . import daemons

HOST_NAME = "postfix.example"
MAIN = """\
compatibility_level = 3.6
config_directory = {etc}
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}/log
myhostname = {host}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
smtpd_reject_unlisted_recipient = no
smtpd_recipient_restrictions =
  check_recipient_access inline:{{{{refused@example.org = 550 5.1.1 No such user here}}}},
  permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/smtp.cert
smtpd_tls_key_file = {folder}/smtp.key
smtpd_tls_received_header = yes
virtual_mailbox_domains = example.org
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{{{bob@example.org = bob/}}, {{full@example.org = full}}}}
virtual_alias_maps = inline:{{{{team@example.org = bob@example.org left@example.org gone@example.org}}}}
virtual_mailbox_limit = 50000
message_size_limit = 50000
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
bounce_notice_recipient = nobody
disable_dns_lookups = yes
relayhost = [127.0.0.1]:{submission}
transport_maps =
  inline:{{{{rp.localhost = smtp:[127.0.0.1]:{reports}}}, {{down.example = smtp:[127.0.0.1]:1}}}}
queue_run_delay = 1s
minimal_backoff_time = 1s
delay_warning_time = 1s
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = inline:{{{{[127.0.0.1]:{submission} = {user}:{key}}}}}
smtp_sasl_security_options = noanonymous
smtp_sasl_mechanism_filter = {mechanism}
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
"""
SERVICES = {
    "cleanup": "unix n - n - 0 cleanup",
    "qmgr": "unix n - n 1 1 qmgr",
    "rewrite": "unix - - n - - trivial-rewrite",
    "bounce": "unix - - n - 0 bounce",
    "defer": "unix - - n - 0 bounce",
    "trace": "unix - - n - 0 bounce",
    "verify": "unix - - n - 1 verify",
    "flush": "unix n - n 1000? 0 flush",
    "tlsmgr": "unix - - n 1000? 1 tlsmgr",
    "proxymap": "unix - - n - - proxymap",
    "smtp": "unix - - n - - smtp",
    "relay": "unix - - n - - smtp",
    "error": "unix - - n - - error",
    "retry": "unix - - n - - error",
    "virtual": "unix - n n - - virtual",
    "anvil": "unix - - n - 1 anvil",
    "scache": "unix - - n - 1 scache",
    "postlog": "unix-dgram n - n - 1 postlogd",
}


class Postfix:
    """Mail that it is given on `port` for bob@example.org stays here; other mail goes to `submission`."""

    def __init__(
        self,
        folder: Path,
        *,
        submission: int,
        key: str,
        user: str = "anybody",
        reports: int = 9,
        mechanism: str = "plain",
    ) -> None:
        [self.port] = free_ports(1)
        self.folder = folder
        self._etc = folder / "etc"
        self._values = {
            "submission": submission, "user": user, "key": key, "reports": reports, "mechanism": mechanism,
        }  # fmt: skip

    @contextlib.contextmanager
    def running(self) -> Iterator[Postfix]:
        daemons.program("postfix")
        daemons.as_root()
        self._write()
        self._command("start")
        try:
            daemons.wait_until_listening(self.port, None, self.folder / "log/mail.log")
            yield self
        finally:
            self._command("stop")

    def _command(self, word: str) -> None:
        command = [daemons.program("postfix"), "-c", str(self._etc), word]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.log}"

    def _write(self) -> None:
        user = pwd.getpwnam("postfix")
        for name in ("etc", "queue", "data", "log", "mail"):
            (self.folder / name).mkdir()
        for name in ("data", "mail"):
            (self.folder / name).chmod(0o700)
            subprocess.run(["chown", "postfix", str(self.folder / name)], check=True)
        full = self.folder / "mail/full"
        full.write_bytes(bytes(60_000))  # beyond virtual_mailbox_limit
        os.chown(full, user.pw_uid, user.pw_gid)
        write_certificate(self.folder, HOST_NAME)
        values = {
            **self._values, "folder": self.folder, "etc": self._etc, "host": HOST_NAME,
            "uid": user.pw_uid, "gid": user.pw_gid,
        }  # fmt: skip
        (self._etc / "main.cf").write_text(MAIN.format(**values))
        lines = [f"127.0.0.1:{self.port} inet n - n - - smtpd"]
        lines += [f"{name} {rest}" for name, rest in SERVICES.items()]
        (self._etc / "master.cf").write_text("\n".join([*lines, ""]))

    @contextlib.contextmanager
    def without(self, keyword: str) -> Iterator[None]:
        """For the time of the block, it does not offer this extension. Ends all connections twice."""
        path = self._etc / "main.cf"
        before = path.read_text()
        self._restart_with(f"{before}smtpd_discard_ehlo_keywords = {keyword}\n")
        try:
            yield
        finally:
            self._restart_with(before)

    def _restart_with(self, configuration: str) -> None:
        self._command("abort")
        (self._etc / "main.cf").write_text(configuration)
        self._command("start")
        daemons.wait_until_listening(self.port, None, self.folder / "log/mail.log")

    @property
    def log(self) -> str:
        path = self.folder / "log/mail.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def wait_for_mail(self, subject: str, seconds: float = 30.0) -> Message:
        """The mail to bob with this subject."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # Postfix makes the folders of a Maildir one by one with its first mail, and this one the last.
            for file in (self.folder / "mail/bob/new").glob("*"):
                found = email.message_from_bytes(file.read_bytes())
                if found["Subject"] == subject:
                    return found
            time.sleep(0.1)
        raise AssertionError(f"no mail with the subject {subject!r}:\n{self.log[-5000:]}")
