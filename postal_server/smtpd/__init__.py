"""The SMTP server, for incoming mail and authenticated submission."""
