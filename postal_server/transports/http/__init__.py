"""The HTTP client: `request` and `response` know the bytes, `connection` exchanges them, `pool` reuses it."""
