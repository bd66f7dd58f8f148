"""Django's settings of the server, all of them derived from its configuration (`conf.py`)."""

from __future__ import annotations

from typing import Any

from postal_server import conf
from postal_server.engine import database
from postal_server.web.application import allowed_hosts

_config = conf.config()
_secure = _config.postal.web_protocol == "https"

DEBUG = False
SECRET_KEY = conf.secret_key(_config)
ALLOWED_HOSTS = allowed_hosts(_config)
USE_X_FORWARDED_HOST = False

DATABASES: dict[str, dict[str, Any]] = {"default": database.settings(_config) | {"CONN_MAX_AGE": 600}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "postal_server.formats"

INSTALLED_APPS = [
    "postal_server.apps.Administration",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "postal_server",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "postal_server.web.middleware.security_headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "postal_server.urls"
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

STATIC_URL = "/static/"
# The administration's files come straight from the installed packages: nothing to collect.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"

# The front proxy terminates TLS, so only the configuration shows whether browsers use https.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _secure else 0
SESSION_COOKIE_AGE = _config.login.session_hours * 3600
SESSION_COOKIE_NAME = "postal_server_session"
CSRF_COOKIE_NAME = "postal_server_csrf"
CSRF_TRUSTED_ORIGINS = [f"{_config.postal.web_protocol}://{host}" for host in ALLOWED_HOSTS]
X_FRAME_OPTIONS = "SAMEORIGIN"  # the frame that a mail's HTML is shown in is ours
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4096

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "()": "postal_server.logs.TextFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        },
        "json": {"()": "postal_server.logs.JSONFormatter"},
    },
    "handlers": {
        "stream": {
            "class": "logging.StreamHandler",
            "stream": f"ext://sys.{_config.logging.stream}",
            "formatter": "json" if _config.logging.format == "json" else "text",
        },
        "null": {"class": "logging.NullHandler"},
    },
    "root": {
        "handlers": ["stream" if _config.logging.enabled else "null"],
        "level": _config.logging.level.upper(),
    },
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "mail.log": {"level": "CRITICAL"},  # of the catch's library; the catch logs errors itself
    },
}
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # the front proxy redirects to https
if not _secure:
    SILENCED_SYSTEM_CHECKS.append("security.W004")  # there is no https to insist on
