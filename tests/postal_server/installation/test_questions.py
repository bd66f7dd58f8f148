"""What is asked at a terminal, and what is said without one."""

from __future__ import annotations

import io
import sys

import pytest

from postal_server.installation import questions, values
from postal_server.installation.answers import Answers, WrongOptions
from postal_server.installation.configuration_file import ConfigurationFile
from postal_server.installation.modes import Mode
from postal_server.installation.questions import Person

NOBODY = Person(is_there=False)


@pytest.fixture
def file(tmp_path):
    return ConfigurationFile(tmp_path / "postal.yml", {})


def person(*lines, password=""):
    """Somebody who types these lines, and `password` where it is not shown."""
    left = iter(lines)
    asked = []

    def read(prompt):
        asked.append(prompt)
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    somebody = Person(is_there=True, read=read, read_secretly=lambda prompt: password)
    somebody.asked = asked
    return somebody


@pytest.mark.parametrize("mode", [Mode.STAGING, Mode.PRODUCTION])
def test_without_a_terminal_the_missing_option_is_named(mode, file):
    with pytest.raises(WrongOptions, match="--hostname is missing: host name of the web interface"):
        questions.for_configuration(Answers(mode=mode), file, NOBODY)


@pytest.mark.parametrize("key", ["web_hostname", "smtp_hostname"])
def test_a_host_of_the_file_that_others_cannot_look_up_is_refused(key, tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text(
        f"version: 2\npostal: {{web_hostname: a.example, smtp_hostname: b.example, {key}: mail}}\n"
    )
    option = "--hostname" if key == "web_hostname" else "--smtp-hostname"
    with pytest.raises(WrongOptions, match=f"^{option}: 'mail' is not a host name that others can look up"):
        questions.for_configuration(Answers(mode=Mode.STAGING), ConfigurationFile(path, {}), NOBODY)


def test_without_a_terminal_the_rest_has_defaults(file):
    answers = questions.for_configuration(Answers(mode=Mode.PRODUCTION, hostname="a.example"), file, NOBODY)
    assert answers == Answers(mode=Mode.PRODUCTION, hostname="a.example", smtp_hostname="a.example")


def test_development_is_asked_nothing(file):
    assert questions.for_configuration(Answers(), file, person()) == Answers()


def test_at_a_terminal_a_wrong_answer_is_asked_again(capsys):
    somebody = person("not a host", "localhost", "a.example")
    assert somebody.ask("--hostname", "Host", values.public_host) == "a.example"
    assert len(somebody.asked) == 3
    assert capsys.readouterr().out.count("is not a") == 2


def test_the_end_of_the_input_is_told():
    with pytest.raises(WrongOptions, match="The input has ended"):
        person().ask("--hostname", "Host", values.public_host)


def test_all_that_production_needs_is_asked(file):
    somebody = person("a.example", "", "", "smtp://me@relay.example:587", "", password="p@ss")
    answers = questions.for_configuration(Answers(mode=Mode.PRODUCTION), file, somebody)
    assert answers == Answers(
        mode=Mode.PRODUCTION,
        hostname="a.example",
        smtp_hostname="a.example",
        database="sqlite:///$config-file-root/postal.sqlite3",
        relays=("smtp://me:p%40ss@relay.example:587",),
    )


def test_staging_is_asked_who_gets_mail(file):
    somebody = person("a.example", "", "", "", "", "ann@example.com, example.org")
    answers = questions.for_configuration(Answers(mode=Mode.STAGING), file, somebody)
    assert (answers.allow, answers.mx) == (("ann@example.com", "example.org"), True)


def test_a_database_that_does_not_answer_is_asked_for_again(file, capsys):
    somebody = person("a.example", "", "postgresql://127.0.0.1:1/x", "", "", "")
    answers = questions.for_configuration(Answers(mode=Mode.PRODUCTION), file, somebody)
    assert answers.database.startswith("sqlite:")
    assert "storage.url: the database cannot be used: " in capsys.readouterr().out


def test_an_installation_that_was_set_up_is_asked_nothing(tmp_path):
    path = tmp_path / "postal.yml"
    path.write_text(
        "version: 2\npostal: {web_hostname: a.example, smtp_hostname: b.example}\ndelivery: {mode: mx}\n"
    )
    answers = questions.for_configuration(
        Answers(mode=Mode.PRODUCTION), ConfigurationFile(path, {}), person()
    )
    assert (answers.hostname, answers.smtp_hostname) == ("a.example", "b.example")


def test_one_that_sends_and_becomes_staging_is_asked_who_gets_mail(tmp_path):
    path = tmp_path / "postal.yml"
    hosts = "{web_hostname: a.example, smtp_hostname: b.example}"
    path.write_text(f"version: 2\npostal: {hosts}\ndelivery: {{mode: mx}}\n")
    somebody = person("ann@example.com")
    answers = questions.for_configuration(Answers(mode=Mode.STAGING), ConfigurationFile(path, {}), somebody)
    assert answers.allow == ("ann@example.com",)
    assert len(somebody.asked) == 1


def test_a_mail_server_that_sends_needs_a_domain(file, tmp_path):
    assert questions.for_mail_server(Answers(), file.config, NOBODY).domains == ("localhost",)
    path = tmp_path / "postal.yml"
    path.write_text("version: 2\npostal: {web_hostname: mail.a.example}\ndelivery: {mode: mx}\n")
    config = ConfigurationFile(path, {}).config
    with pytest.raises(WrongOptions, match="--domain is missing"):
        questions.for_mail_server(Answers(), config, NOBODY)
    answers = questions.for_mail_server(Answers(), config, person("", "https://u:p@b.example/t/", ""))
    assert (answers.domains, answers.webhook) == (("a.example",), "https://u:p@b.example/t/")


def test_a_secret_can_come_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("postgresql://u:p@h/n\n"))
    assert questions.secret("--database", "-", values.database) == "postgresql://u:p@h/n"
    assert questions.secret("--database", "postgresql://h/n", values.database) == "postgresql://h/n"


@pytest.mark.parametrize(
    ("options", "mode", "said"),
    [
        ({"certificate": "/a"}, "catch", "--certificate needs --key"),
        ({"key": "/a"}, "catch", "--key needs --certificate"),
        ({"mx": True, "relays": ("a",)}, "mx", "--mx and --relay exclude each other"),
        ({"mx": True}, "catch", "--mx needs --production or --staging"),
        ({"relays": ("a",)}, "catch", "--relay needs --production or --staging"),
        ({"allow": ("a",)}, "mx", "--allow needs --staging"),
        ({"allow": ("a",), "mode": Mode.PRODUCTION}, "allowlist", "--allow needs --staging"),
        ({"no_server": True, "domains": ("a",)}, "catch", "--no-server makes nothing"),
        ({"hostname": "localhost", "mode": Mode.PRODUCTION}, "catch", "--hostname: 'localhost' is not"),
        ({"smtp_hostname": "mail", "mode": Mode.STAGING}, "catch", "--smtp-hostname: 'mail' is not"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, mode, said):
    with pytest.raises(WrongOptions, match=said):
        Answers(**options).require_sense(mode)


def test_options_that_fit_what_is_there():
    Answers(allow=("a",)).require_sense("allowlist")
    Answers(mx=True).require_sense("relays")
    Answers(relays=("a",), mode=Mode.STAGING).require_sense("catch")
    Answers(hostname="localhost").require_sense("catch")
