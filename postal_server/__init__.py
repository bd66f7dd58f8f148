"""A mail server that speaks Postal's wire."""
