"""The task of POSTAL_WEBHOOK_DISPATCH = "task" (needs Django 6.0)."""

from django.tasks import task

from . import webhooks


@task
def handle_delivery(delivery_id: str) -> None:
    """Run the receivers for a kept post."""
    webhooks.handle_delivery(delivery_id)
