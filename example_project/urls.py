"""URLs of the example project."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from .discussion import views

urlpatterns = [
    path("", views.conversations, name="conversations"),
    path("conversations/<int:pk>/", views.conversation, name="conversation"),
    path("login/", LoginView.as_view(template_name="discussion/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    # For Postal: webhooks to anymail/postal/tracking/, the mail of the route to anymail/postal/inbound/.
    path("anymail/", include("anymail_postal.urls")),
]
