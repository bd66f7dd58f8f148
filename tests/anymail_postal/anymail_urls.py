"""The same project before: django-anymail's own views."""

from django.urls import include, path

urlpatterns = [path("anymail/", include("anymail.urls"))]
