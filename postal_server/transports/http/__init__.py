"""HTTP out: `request` and `answer` know the bytes, `connection` exchanges them, `pool` keeps connections."""
