"""The founding user's way, as a stranger walks it: by the documentation's commands, its code, and a browser.

A chapter is a module. What it leads to is a fixture in `conftest.py`, which builds on those of the chapters
before, so that each chapter can be run by itself. The commands and code come from the pages: a documentation
that says something else fails here. Only the project that the stranger writes is ours, and `stranger.py`.
"""
