from django.urls import include, path

urlpatterns = [path("_control/", include("postal_server.control.urls"))]
