"""Addresses of the control interface, below `/_control/`."""

from django.urls import path

from . import views

urlpatterns = [
    path("ping", views.ping),
    path("servers", views.servers),
    path("servers/<int:server_id>/webhooks", views.webhooks),
    path("servers/<int:server_id>/routes", views.routes),
    path("servers/<int:server_id>/mail", views.mail),
    path("servers/<int:server_id>/simulations", views.simulations),
    path("servers/<int:server_id>/messages", views.messages),
    path("servers/<int:server_id>/quiet", views.quiet),
    path("servers/<int:server_id>/answers", views.answers),
    path("servers/<int:server_id>/clock", views.advance),
]
