"""Django's admin: what an administrator sets up, looks at, and does with mail that waits."""

from . import configuration, ip_pool, message, queue, webhook

__all__ = ["configuration", "ip_pool", "message", "queue", "webhook"]
