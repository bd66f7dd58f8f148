"""Django e-mail through Postal: an Anymail backend, verified webhooks and signed reply addresses."""

__version__ = "0.1.0"
