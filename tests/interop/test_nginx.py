"""The site for nginx that `postal-server service install --nginx` writes, in front of a server."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from postal_server import conf
from postal_server.installation.service import SITE, SITE_HOOK, Service
from postal_server.testing import MailServer, RunningServer, free_ports
from tests.certificates import write_certificate
from tests.faults.stage import wait_until

from . import daemons

# Its certificate is for a name that only tests know.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

WEB, TRACK = "127.0.0.1", "track.example.test"  # the web host of the fixtures
# nginx itself, as any user and on any port.
MAIN = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@dataclass
class Site:
    """nginx and the server behind it."""

    postal: MailServer
    http_port: int
    https_port: int

    def request(self, method: str, path: str, *, host: str = WEB, secure: bool = True, **options):
        headers = {"Host": host, **options.pop("headers", {})}
        base = f"https://127.0.0.1:{self.https_port}" if secure else f"http://127.0.0.1:{self.http_port}"
        return requests.request(
            method, base + path, headers=headers, verify=False, allow_redirects=False, timeout=30, **options
        )


def site(address: str) -> str:
    return files(address)[SITE]


def files(address: str) -> dict[Path, str]:
    host, port = address.rsplit(":", 1)
    config = conf.parse(
        {
            "postal": {"web_hostname": WEB, "smtp_hostname": "mx.example.test"},
            "dns": {"track_domain": TRACK},
            "web_server": {"default_bind_address": host, "default_port": int(port)},
        },
        {},
        Path("/var/lib/postal"),
    )
    return Service(Path("/bin/true"), config).site()


def started(program: str, folder: Path, text: str) -> tuple[list[str], int, int]:
    """Configure nginx with our site, on free ports and with a certificate of its own; how to start it."""
    certificate, key = write_certificate(folder, WEB)
    http, https = free_ports(2)
    live = f"/etc/letsencrypt/live/{WEB}"
    for given, ours in {
        f"{live}/fullchain.pem": str(certificate),
        f"{live}/privkey.pem": str(key),
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl;\n": "",
    }.items():
        assert given in text
        text = text.replace(given, ours)
    (folder / "site.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")], http, https


@pytest.fixture(scope="module")
def proxied(postal_server: RunningServer) -> Iterator[Site]:
    program = daemons.program("nginx")
    with daemons.shared_folder() as folder:
        words, http, https = started(program, folder, site(postal_server.url.removeprefix("http://")))
        with daemons.running(words, https, folder / "log", {}):
            yield Site(postal_server.add(), http, https)


def test_nginx_accepts_the_site_and_would_listen_on_every_address(tmp_path):
    words, *_ = started(daemons.program("nginx"), tmp_path, site("127.0.0.1:5000"))
    done = subprocess.run([*words, "-t"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "syntax is ok" in done.stderr
    assert "[warn]" not in done.stderr.replace('the "user" directive makes sense only', "")


def test_nginx_shows_a_renewed_certificate_once_certbot_has_run_its_hook(tmp_path, monkeypatch):
    with daemons.shared_folder() as folder:
        words, _, https = started(daemons.program("nginx"), folder, site("127.0.0.1:5000"))
        # What systemd does for nginx.service.
        reload = (
            f'#!/bin/sh\n[ "$*" = "try-reload-or-restart nginx" ] && kill -HUP "$(cat {folder}/nginx.pid)"\n'
        )
        for name, text in {"hook": files("127.0.0.1:5000")[SITE_HOOK], "systemctl": reload}.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        with daemons.running(words, https, folder / "log", {}):
            first = shown_certificate(https)
            write_certificate(folder, WEB)
            assert shown_certificate(https) == first
            subprocess.run([tmp_path / "hook"], check=True)
            wait_until(lambda: shown_certificate(https) != first, 20, "the new certificate is shown")


def shown_certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_mail_is_sent_through_the_proxy(proxied):
    mail = {
        "to": ["bob@example.com"],
        "from": f"me@{proxied.postal.domain}",
        "subject": "Hi",
        "plain_body": "x" * 20_000_000,
    }
    answer = proxied.request(
        "POST", "/api/v1/send/message", json=mail, headers={"X-Server-API-Key": proxied.postal.api_key}
    )
    assert answer.json()["status"] == "success", answer.text
    assert proxied.postal.outbox.wait_for(to="bob@example.com")


def test_the_server_learns_who_asks_and_refuses_other_hosts(proxied):
    # Loopback is trusted; what another client claims to be is not.
    claimed = {"X-Forwarded-For": "198.51.100.9, 192.0.2.7"}
    assert proxied.request("GET", "/ip", headers=claimed).text == "ip: 127.0.0.1 remote ip: 192.0.2.7"
    assert proxied.request("GET", "/.well-known/jwks.json").json()["keys"]
    assert proxied.request("GET", "/ip", host="other.example").status_code == 403
    assert proxied.request("GET", "/metrics").status_code != 200


def test_only_the_tracking_host_is_for_tracking(proxied):
    page = "/no-such-server/no-such-link"
    assert proxied.request("GET", page, host=TRACK).text == "Invalid Server Token"
    assert "Server Token" not in proxied.request("GET", page, headers={"X-Postal-Track-Host": "1"}).text


def test_plain_http_is_for_certbot_alone(proxied):
    moved = proxied.request("GET", "/admin/?next=1", secure=False)
    assert (moved.status_code, moved.headers["Location"]) == (301, f"https://{WEB}/admin/?next=1")
    assert proxied.request("GET", "/.well-known/acme-challenge/none", secure=False).status_code == 404
