"""Nothing but mail: no database, no users, and of apps only django-anymail."""

import os

from tests.anymail_postal.recorded import DKIM_RECORD

USES = os.environ["PROJECT_USES"]  # "anymail" or "anymail_postal"

SECRET_KEY = "a-secret-key-for-tests-only-0123456789-abcdef"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["anymail"]
ROOT_URLCONF = "tests.anymail_postal.project.urls"
EMAIL_BACKEND = {
    "anymail": "anymail.backends.postal.EmailBackend",
    "anymail_postal": "anymail_postal.backend.EmailBackend",
}[USES]
ANYMAIL = {
    "POSTAL_API_URL": "https://postal.example.test",
    "POSTAL_API_KEY": "the-api-key-of-the-tests",
    "POSTAL_WEBHOOK_KEY": DKIM_RECORD.rpartition("p=")[2].rstrip(";"),
    "WEBHOOK_SECRET": "user:password",
}
if "PROJECT_API" in os.environ:
    ANYMAIL["POSTAL_API"] = os.environ["PROJECT_API"]
