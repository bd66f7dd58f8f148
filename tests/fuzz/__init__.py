"""Fuzzing: every parser of bytes from outside, with the one exception that it may raise.

`targets/` says what is called and what must hold; `corpus/` keeps inputs worth trying, those of past findings
among them; `test_targets.py` tries them, and a few new ones, in every test run. `make fuzz SECONDS=600` goes
on for as long as it is told; `python -m tests.fuzz.keep` takes a few inputs that reached something new into
the corpus.
"""
