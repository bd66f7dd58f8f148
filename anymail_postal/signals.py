"""Signals beside those of django-anymail, which are `anymail.signals.tracking` and `inbound`.

As with those, an exception of a receiver becomes a 500, and Postal repeats the request.
"""

from django.dispatch import Signal

# From the tracking view; arguments: event (an AnymailTrackingEvent), server (its name), esp_name ("Postal").

#: The DNS records of a sending domain are wrong. Sent at each hourly check.
domain_dns_error = Signal()

#: A mail server approaches or exceeds its send limit; `event.postal.name` distinguishes the two.
send_limit = Signal()

#: Postal could not deliver an incoming mail, usually because our own inbound view refused it.
inbound_failed = Signal()

#: An address came on a mail server's suppression list, or left it before its time; `event.postal.name`
#: distinguishes the two, and `event.postal.suppression` is the entry. Only from `postal_server`.
suppression_changed = Signal()

# From the inbound view; arguments: match (a ReplyMatch or None), message (an AnymailInboundMessage),
# event (the AnymailInboundEvent), reason (text or None).

#: A person replied to a mail of ours; `match` identifies it.
reply_received = Signal()

#: Mail to a reply address that must not be acted on. `reason` is "token" (forged or expired: `match` is
#: None), "auto_response" or "sender".
reply_rejected = Signal()
