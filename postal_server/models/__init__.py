"""The database's models."""

from .audit import AuditEntry
from .domain import Domain, TrackDomain
from .ip_pool import IPAddress, IPPoolRule
from .mailbox import CaughtMail, Simulation
from .message import Body, Delivery, ImportedToken, Message
from .queue import (
    Counter,
    DestinationPace,
    DestinationPause,
    QueuedMessage,
    QueueSuspension,
    ScheduledTask,
    Worker,
)
from .report import Report, ReportMail
from .route import AdditionalRouteEndpoint, AddressEndpoint, HTTPEndpoint, Route, SMTPEndpoint
from .server import Credential, IPPool, Organization, Server
from .stream import Stream
from .sts_policy import StsPolicy
from .suppression import FailureEvidence, Incident, OperatorAnswers, Suppression
from .tls_report import TlsResult
from .tracking import Click, Link, Load
from .webhook import Webhook, WebhookAttempt, WebhookRequest

__all__ = [
    "AdditionalRouteEndpoint",
    "AddressEndpoint",
    "AuditEntry",
    "Body",
    "CaughtMail",
    "Click",
    "Counter",
    "Credential",
    "Delivery",
    "DestinationPace",
    "DestinationPause",
    "Domain",
    "FailureEvidence",
    "HTTPEndpoint",
    "IPAddress",
    "IPPool",
    "IPPoolRule",
    "ImportedToken",
    "Incident",
    "Link",
    "Load",
    "Message",
    "OperatorAnswers",
    "Organization",
    "QueueSuspension",
    "QueuedMessage",
    "Report",
    "ReportMail",
    "Route",
    "SMTPEndpoint",
    "ScheduledTask",
    "Server",
    "Simulation",
    "Stream",
    "StsPolicy",
    "Suppression",
    "TlsResult",
    "TrackDomain",
    "Webhook",
    "WebhookAttempt",
    "WebhookRequest",
    "Worker",
]
