"""Fixtures that start a real mail server (loaded in every project: nothing heavy at import)."""
