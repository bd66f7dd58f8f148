"""Whole processes under faults: killed, cut off, without disk, database or DNS, and receivers at their worst.

Each test starts `web`, `smtp` and `worker` processes of their own, a load that submits to them and remembers
what was acknowledged, and receivers that remember what arrived. `make soak` runs the same tests at length.
"""
