"""Chapter 8: a second domain with a route of its own, by commands; the administration shows it."""

from __future__ import annotations

import smtplib

import pytest

from .stranger import Browser, Stranger, wait_for

SERVER = "example/main"
SECRET = "user:a-long-random-password"


@pytest.fixture(scope="module")
def domain(project: Stranger, server: Browser) -> str:
    """The domain, with a route `support` to the project."""
    url = project.here(f"http://{SECRET}@127.0.0.1:8000/anymail/postal/inbound/")
    ours = {
        "example-ltd/main": SERVER,
        "example.com": "shop.test",
        "reply@example.com": "support@shop.test",
        "https://shop.example.com/inbound": url,
    }
    for words in (("domains", "add"), ("routes", "add")):
        documented = project.command("docs/server.md", "postal-server", *words)
        more = ["--format", "RawMessage"] if words[0] == "routes" else []
        project.run(*(ours.get(word, word) for word in documented), *more)
    # Nobody is as quick as a test: SMTP hears of a new route within half a second.
    wait_for(lambda: takes("support@shop.test", project.ports[2525]), "the route")
    return "shop.test"


def takes(recipient: str, port: int) -> bool:
    """Is mail for this address accepted?"""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("bob@example.com")
        return client.rcpt(recipient)[0] == 250


def test_it_shows_the_records_to_publish(domain: str, server: Browser) -> None:
    [page] = server.links(
        f"/admin/postal_server/domain/?q={domain}", r"/admin/postal_server/domain/\d+/change/[^\"]*"
    )
    shown = server.get(page).text
    assert "v=DKIM1" in shown
    assert "v=spf1" in shown


def test_mail_for_it_reaches_the_project(project: Stranger, domain: str) -> None:
    answer = project.code("docs/server.md", "smtplib").replace("reply+...", f"support@{domain}")
    project.run("python", "-c", answer.replace("Thank you!", "Where is my parcel?"))
    wait_for(lambda: "Where is my parcel?" in project.log("python"), "the mail")
