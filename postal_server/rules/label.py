"""The few labels under which results are counted: metrics must not have one for every domain there is."""

from __future__ import annotations

from postal_server.mail.enhanced_code import enhanced_code

from .http_code import NO_CONNECTION, NO_TLS, TIMED_OUT
from .lane import is_domain
from .outcome import Outcome
from .shaping import operator_of
from .status import DeliveryStatus

# The operators of the mail hosts of most addresses, by the domains of those hosts.
OPERATORS = {
    "amazonaws.com": "amazon",
    "barracudanetworks.com": "barracuda",
    "comcast.net": "comcast",
    "free.fr": "free",
    "gmx.net": "gmx",
    "google.com": "google",
    "googlemail.com": "google",
    "icloud.com": "apple",
    "kundenserver.de": "ionos",
    "mail.ru": "mail.ru",
    "messagingengine.com": "fastmail",
    "mimecast.com": "mimecast",
    "netease.com": "netease",
    "orange.fr": "orange",
    "outlook.com": "microsoft",
    "ovh.net": "ovh",
    "pphosted.com": "proofpoint",
    "protonmail.ch": "proton",
    "qq.com": "tencent",
    "secureserver.net": "godaddy",
    "t-online.de": "telekom",
    "web.de": "gmx",
    "yahoodns.net": "yahoo",
    "yandex.net": "yandex",
    "yandex.ru": "yandex",
    "zoho.com": "zoho",
}
OTHER = "other"
# RFC 3463 section 3: what the middle digit of an enhanced code is about.
SUBJECTS = {
    "1": "address",
    "2": "mailbox",
    "3": "system",
    "4": "network",
    "5": "protocol",
    "6": "content",
    "7": "policy",
}
TRANSPORT = {TIMED_OUT: "timeout", NO_CONNECTION: "connection", NO_TLS: "tls"}


def destination(lane: str, host: str) -> str:
    """Where a message went: a well-known operator of mail hosts, `other`, or the kind of another lane."""
    if not is_domain(lane):
        return lane.partition(":")[0]
    return OPERATORS.get(operator_of(host), OTHER)


def reason(outcome: Outcome) -> str:
    """The reason: `ok`, the subject of an enhanced code, the class of a plain one, or a transport error."""
    code = outcome.code
    if outcome.status is DeliveryStatus.SENT:
        return "ok"
    if outcome.status is DeliveryStatus.ERROR:
        return "bug"
    if code is None:
        return "connection" if outcome.seconds is None else "interrupted"
    if code in TRANSPORT:
        return TRANSPORT[code]
    enhanced = enhanced_code(outcome.output or "") if outcome.host else None  # HTTP responses have none
    return SUBJECTS.get(enhanced[1] if enhanced else "", f"{code // 100}xx")
