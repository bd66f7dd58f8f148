"""A mail server that is compatible with Postal."""
