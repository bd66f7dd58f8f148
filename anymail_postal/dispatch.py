"""Run the receivers of a kept post outside of its request: by a Django task, or a callable of the project."""

from __future__ import annotations

from collections.abc import Callable

from anymail.exceptions import AnymailConfigurationError
from django.db import connection, transaction
from django.utils.module_loading import import_string

# By its path, like a callable of the project: the task runs the views, and a view enqueues the task.
TASK = "anymail_postal.tasks.handle_delivery"


def find_enqueue(dispatch: str) -> Callable[[str], object]:
    """What to call with a delivery id, by POSTAL_WEBHOOK_DISPATCH: "task", or the path of a callable.

    Raises `AnymailConfigurationError` for "task" where Django has no tasks.
    """
    if dispatch != "task":
        enqueue: Callable[[str], object] = import_string(dispatch)
        return enqueue
    try:
        task = import_string(TASK)
    except ImportError as error:
        raise AnymailConfigurationError('POSTAL_WEBHOOK_DISPATCH = "task" needs Django 6.0.') from error
    enqueue = task.enqueue
    return enqueue


def after_commit(enqueue: Callable[[], object]) -> None:
    """Enqueue now, or at the end of the request's transaction: before it, a worker cannot see the post."""
    if connection.settings_dict["ATOMIC_REQUESTS"]:
        transaction.on_commit(enqueue)
    else:
        enqueue()
