"""The webhook views of both packages, side by side."""

from django.urls import include, path

urlpatterns = [
    path("ours/", include("anymail_postal.urls", namespace="anymail_postal")),
    path("theirs/", include("anymail.urls")),
]
