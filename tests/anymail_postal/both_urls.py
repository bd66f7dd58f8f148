"""A project that uses other services through django-anymail too."""

from django.urls import include, path

urlpatterns = [
    path("postal/", include("anymail_postal.urls", namespace="anymail_postal")),
    path("anymail/", include("anymail.urls")),
]
