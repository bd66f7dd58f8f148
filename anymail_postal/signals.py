"""Signals that django-anymail has no word for; its own are `anymail.signals.tracking` and `inbound`.

As with those, an exception of a receiver reaches the view, and Postal posts again.
"""

from django.dispatch import Signal

# From the tracking view; arguments: event (an AnymailTrackingEvent), server (its name), esp_name ("Postal").

#: The DNS records of a sending domain are not as Postal wants them; sent at each hourly check.
domain_dns_error = Signal()

#: A mail server nears or exceeds its send limit: `event.postal.name` says which.
send_limit = Signal()

#: Postal could not hand on an incoming mail; most often because our own inbound view did not take it.
inbound_failed = Signal()

# From the inbound view; arguments: match (a ReplyMatch or None), message (an AnymailInboundMessage),
# event (the AnymailInboundEvent), reason (text or None).

#: A person answered a mail of ours: `match` says which.
reply_received = Signal()

#: Mail to a reply address that is no answer to act on; `reason` is "token" (forged or expired, `match` is
#: None), "auto_response" or "sender".
reply_rejected = Signal()
