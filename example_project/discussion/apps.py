from django.apps import AppConfig


class DiscussionConfig(AppConfig):
    name = "example_project.discussion"

    def ready(self) -> None:
        from . import receivers  # noqa: F401, PLC0415 - connects them
