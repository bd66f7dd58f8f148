"""The DNS records of domains: what to publish, what to ask, and what the answers mean. Source: contract 9.

Nothing here talks to DNS. `questions` says what to ask; `record` stores what the answers mean. An answer of
None is a name server that failed: the last known state stays (unlike in Postal, contract Q29).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet

from postal_server.conf import Config
from postal_server.mail import dkim
from postal_server.models import Domain, TrackDomain
from postal_server.rules import domain as rules
from postal_server.rules.domain import Check, DnsStatus
from postal_server.services.results import webhook
from postal_server.services.shared.dns_questions import Answers, Ask, Question
from postal_server.services.shared.keys import dkim_key
from postal_server.services.shared.loader import load
from postal_server.services.shared.token import own_return_path_domain
from postal_server.wire import webhook as wire

RECHECK = timedelta(hours=1)
ERROR_LENGTH = 500  # the columns'
CHECKS = ("spf", "dkim", "mx", "return_path")
MUST_BE_OK = ("spf", "dkim")  # the others may be missing


@dataclass(frozen=True)
class Record:
    """A record that a domain's owner publishes."""

    purpose: str
    name: str
    kind: str
    value: str
    is_required: bool


def dkim_name(domain: Domain, config: Config) -> str:
    return f"{config.dns.dkim_identifier}-{domain.dkim_suffix}._domainkey.{domain.name}"


def verification_record(domain: Domain, config: Config) -> str:
    return f"{config.dns.domain_verify_prefix} {domain.verification_token}"


def records_to_publish(domain: Domain, config: Config) -> list[Record]:
    """What the DNS set-up page shows."""
    records = [
        Record("Ownership", domain.name, "TXT", verification_record(domain, config), False),
        Record("SPF", domain.name, "TXT", f"v=spf1 a mx include:{config.dns.spf_include} ~all", True),
        Record("DKIM", dkim_name(domain, config), "TXT", _public_key(domain.dkim_private_key), True),
        *_ed25519_records(domain, config),
        Record(
            "Return path",
            own_return_path_domain(domain.name, config),
            "CNAME",
            config.dns.return_path_domain,
            False,
        ),
    ]
    records += [
        Record("Incoming mail", domain.name, "MX", f"10 {host}", False) for host in config.dns.mx_records
    ]
    for track in domain.track_domains.all():
        records.append(Record("Tracking", track.full_name, "CNAME", config.dns.track_domain, False))
    return records


def questions(domain: Domain, config: Config) -> list[Question]:
    """What to ask about a domain: first what `CHECKS` are made of, then what must not be there twice."""
    return [
        Question(domain.name, "TXT"),
        Question(dkim_name(domain, config), "TXT"),
        Question(domain.name, "MX"),
        Question(own_return_path_domain(domain.name, config), "CNAME"),
        *(Question(f"{policy.prefix}.{domain.name}", "TXT") for policy in rules.POLICIES),
        *(Question(record.name, record.kind) for record in _ed25519_records(domain, config)),
    ]


def record(domain: Domain, answers: Answers, config: Config, now: datetime) -> None:
    """Store what the answers to `questions` mean."""
    for name, check in _checks(domain, answers, config).items():
        if check is not None:
            setattr(domain, f"{name}_status", check.status.value)
            setattr(domain, f"{name}_error", check.error[:ERROR_LENGTH])
    for what, check in _once(domain, answers, config).items():
        domain.dns_problems.pop(what, None)
        if check.status is DnsStatus.INVALID:
            domain.dns_problems[what] = check.error[:ERROR_LENGTH]
    domain.dns_checked_at = now
    fields = [f"{name}_{part}" for name in CHECKS for part in ("status", "error")]
    domain.save(update_fields=["dns_checked_at", "dns_problems", *fields])


def _checks(domain: Domain, answers: Answers, config: Config) -> dict[str, Check | None]:
    apex, key, hosts, return_path = (answers.get(question) for question in questions(domain, config)[:4])
    key_name, path_name = dkim_name(domain, config), own_return_path_domain(domain.name, config)

    def compare(found: Sequence[str] | None, rule: Callable[[Sequence[str]], Check]) -> Check | None:
        return None if found is None else rule(found)

    return {
        "spf": compare(apex, lambda found: rules.check_spf(found, config.dns.spf_include)),
        "dkim": compare(
            key, lambda found: rules.check_dkim(key_name, found, _public_key(domain.dkim_private_key))
        ),
        "mx": compare(
            hosts, lambda found: rules.check_mx(domain.name, mail_hosts(found), config.dns.mx_records)
        ),
        "return_path": compare(
            return_path,
            lambda found: rules.check_return_path(path_name, hosts_of(found), config.dns.return_path_domain),
        ),
    }


def _once(domain: Domain, answers: Answers, config: Config) -> dict[str, Check]:
    """How the records stand that may be missing, but not be there twice; only those that DNS answered for."""
    prefix = config.dns.domain_verify_prefix
    checks: list[tuple[str, Question, Callable[[Sequence[str]], Check]]] = [
        (
            "Ownership",
            Question(domain.name, "TXT"),
            lambda found: rules.check_ownership(domain.name, found, prefix),
        ),
        *(
            (
                policy.what,
                Question(f"{policy.prefix}.{domain.name}", "TXT"),
                partial(rules.check_policy, policy, domain.name),
            )
            for policy in rules.POLICIES
        ),
        *(
            (record.purpose, Question(record.name, record.kind), partial(rules.check_second_key, record.name))
            for record in _ed25519_records(domain, config)
        ),
    ]
    found = ((what, answers.get(question), check) for what, question, check in checks)
    return {what: check(answer) for what, answer, check in found if answer is not None}


def is_fine(domain: Domain) -> bool:
    """Can the domain be used as it is published?"""
    ok, missing = DnsStatus.OK.value, DnsStatus.MISSING.value
    statuses = {name: getattr(domain, f"{name}_status") for name in CHECKS}
    return all(
        status == ok or (status == missing and name not in MUST_BE_OK) for name, status in statuses.items()
    )


def verify(domain: Domain, answers: Answers, config: Config, now: datetime) -> bool:
    """Mark the domain as verified if its apex has the ownership record."""
    found = answers.get(Question(domain.name, "TXT"))
    if not found or not rules.is_verified(found, verification_record(domain, config)):
        return False
    domain.verified_at = now
    domain.save(update_fields=["verified_at"])
    return True


def track_question(track: TrackDomain) -> Question:
    return Question(track.full_name, "CNAME")


def record_track(track: TrackDomain, answers: Answers, config: Config, now: datetime) -> None:
    """Store how a tracking domain stands."""
    found = answers.get(track_question(track))
    if found is not None:
        check = rules.check_track_domain(track.full_name, hosts_of(found), config.dns.track_domain)
        track.dns_status, track.dns_error = check.status.value, check.error[:ERROR_LENGTH]
    track.dns_checked_at = now
    track.save(update_fields=["dns_status", "dns_error", "dns_checked_at"])


def due(now: datetime) -> QuerySet[Domain]:
    """Domains that the scheduled check looks at: checked by somebody once, and not in the last hour."""
    return Domain.objects.filter(dns_checked_at__lt=now - RECHECK).order_by("dns_checked_at")


def due_tracks(now: datetime) -> QuerySet[TrackDomain]:
    """Tracking domains that the scheduled check looks at."""
    unchecked = Q(dns_checked_at=None) | Q(dns_checked_at__lt=now - RECHECK)
    return TrackDomain.objects.filter(unchecked).select_related("domain")


def check(domains: Sequence[Domain], config: Config, now: datetime, ask: Ask) -> None:
    """Ask about these domains and their tracking domains, and store what the answers mean."""
    tracks = [track for domain in domains for track in domain.track_domains.select_related("domain")]
    asked = [question for domain in domains for question in questions(domain, config)]
    answers = ask([*asked, *map(track_question, tracks)])
    for domain in domains:
        record(domain, answers, config, now)
    for track in tracks:
        record_track(track, answers, config, now)


def check_all(config: Config, now: datetime, ask: Ask) -> None:
    """The scheduled check. A domain of a server that is not fine tells the server's webhooks each time."""
    domains, tracks = list(due(now)), list(due_tracks(now))
    asked = [question for domain in domains for question in questions(domain, config)]
    answers = ask([*asked, *map(track_question, tracks)])
    directory = load()
    for track in tracks:
        record_track(track, answers, config, now)
    for domain in domains:
        with transaction.atomic():
            record(domain, answers, config, now)
            server = directory.servers.get(domain.server_id or 0)
            if server is not None and not is_fine(domain):
                payload = wire.dns_payload(server, domain)
                webhook.emit([webhook.WebhookEvent(server.id, wire.DNS_ERROR, payload)], directory, now)


def mail_hosts(found: Sequence[str]) -> list[str]:
    """The hosts of MX records (`10 mx.example.`)."""
    return hosts_of([text.split()[-1] for text in found if text.split()])


def hosts_of(found: Sequence[str]) -> list[str]:
    return [name.rstrip(".") for name in found]


def _public_key(pem: str) -> str:
    return dkim.public_record(dkim_key(pem))


def _ed25519_records(domain: Domain, config: Config) -> list[Record]:
    """The record of the domain's second key, if it has one: receivers that know RSA only do without."""
    if not domain.dkim_ed25519_private_key:
        return []
    selector, rest = dkim_name(domain, config).split(".", 1)
    name = f"{selector}{rules.ED25519_SELECTOR_END}.{rest}"
    return [Record("DKIM (Ed25519)", name, "TXT", _public_key(domain.dkim_ed25519_private_key), False)]
