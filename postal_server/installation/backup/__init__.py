"""Back-ups: one file with all that an installation needs to start again."""
