"""Django's admin: what an administrator sets up, looks at, and does with mail that waits."""

from . import configuration, message, queue, webhook

__all__ = ["configuration", "message", "queue", "webhook"]
