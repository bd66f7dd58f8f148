"""Recordings of a real Postal, and how to put our server to the same test: `make vectors`."""
