"""Django's admin: what an administrator sets up, looks at, and does with mail that waits."""

from . import (
    caught_mail,
    configuration,
    ip_pool,
    link,
    message,
    queue,
    report,
    simulation,
    suppression,
    webhook,
)

__all__ = [
    "caught_mail",
    "configuration",
    "ip_pool",
    "link",
    "message",
    "queue",
    "report",
    "simulation",
    "suppression",
    "webhook",
]
