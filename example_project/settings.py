"""Settings of the example project. Those for mail are at the end."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent

SECRET_KEY = os.environ.get("EXAMPLE_SECRET_KEY", "only-for-the-example-0123456789-abcdefghijklmnop")
DEBUG = os.environ.get("EXAMPLE_DEBUG", "1") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "anymail",
    "anymail_postal",
    "example_project.discussion",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "example_project.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("EXAMPLE_DATABASE", BASE_DIR / "example.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "conversations"
LOGOUT_REDIRECT_URL = "login"

# --- Mail ---

EMAIL_BACKEND = "anymail_postal.backend.EmailBackend"
DEFAULT_FROM_EMAIL = os.environ.get("EXAMPLE_FROM_EMAIL", "Discussion <discussion@localhost>")
ANYMAIL = {
    "POSTAL_API_URL": os.environ.get("POSTAL_API_URL", "http://localhost:5000"),
    "POSTAL_API_KEY": os.environ.get("POSTAL_API_KEY", "the-key-of-an-api-credential"),
    # A route named `reply` at this domain sends mail for reply+TOKEN to the inbound view.
    "POSTAL_REPLY_DOMAIN": os.environ.get("POSTAL_REPLY_DOMAIN", "localhost"),
    "POSTAL_STRIP_REPLIES": True,
}
# Webhooks are verified with the output of `manage.py postal_webhook_key`, or with the published key set.
if "POSTAL_WEBHOOK_KEY" in os.environ:
    ANYMAIL["POSTAL_WEBHOOK_KEY"] = os.environ["POSTAL_WEBHOOK_KEY"]
else:
    ANYMAIL["POSTAL_WEBHOOK_JWKS_URL"] = True
# From Django 6.1 on, use MAILERS in place of EMAIL_BACKEND: see "Django 6.1" in the documentation.
