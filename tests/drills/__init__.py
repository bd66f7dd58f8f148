"""Drills of whole installations, as the documentation has them set up; `make drills` runs them."""
