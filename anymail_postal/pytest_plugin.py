"""Fixtures that build signed Postal requests (loaded in every project: nothing heavy at import)."""
