"""SMTP out: `protocol` decides without I/O, `session` talks, `connect` finds hosts, `pool` keeps sessions."""
