"""What a project's URLs look like after moving to this package: one include changed."""

from django.urls import include, path

urlpatterns = [path("anymail/", include("anymail_postal.urls"))]
