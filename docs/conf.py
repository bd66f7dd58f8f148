"""Sphinx configuration."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # settings_table.py

project = "anymail-postal"
author = "the anymail-postal contributors"
copyright = "2026, the anymail-postal contributors"
version = release = installed_version("anymail-postal")
extensions = ["myst_parser", "settings_table"]
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "anymail-postal"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
exclude_patterns = ["_build"]
