"""URLs of the webhook views, under the names that django-anymail gives them.

Beside an include of `anymail.urls`, include these first and with `namespace="anymail_postal"`.
"""

from django.urls import path

from .webhooks import PostalInboundWebhookView, PostalTrackingWebhookView

app_name = "anymail"

# The name of a server takes any text: what the resolver does not find is a 404, which bounces mail.
urlpatterns = [
    path("postal/tracking/", PostalTrackingWebhookView.as_view(), name="postal_tracking_webhook"),
    path("postal/inbound/", PostalInboundWebhookView.as_view(), name="postal_inbound_webhook"),
    path(
        "postal/<str:server>/tracking/",
        PostalTrackingWebhookView.as_view(),
        name="postal_server_tracking_webhook",
    ),
    path(
        "postal/<str:server>/inbound/",
        PostalInboundWebhookView.as_view(),
        name="postal_server_inbound_webhook",
    ),
]
