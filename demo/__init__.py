"""The demo: send, track and receive real mail, from end to end. Run by `make demo`."""
