"""Sphinx configuration."""

from importlib.metadata import version as installed_version

project = "anymail-postal"
author = "the anymail-postal contributors"
copyright = "2026, the anymail-postal contributors"
version = release = installed_version("anymail-postal")
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "anymail-postal"
exclude_patterns = ["_build"]
