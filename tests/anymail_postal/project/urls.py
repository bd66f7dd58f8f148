from django.conf import settings
from django.urls import include, path

urlpatterns = [path("anymail/", include(f"{settings.USES}.urls"))]
