"""Mail in: SMTP listeners for incoming mail and authenticated submission."""
