"""How fast is it, beside others? `make bench` measures the rows of `docs/benchmarks.md`.

`rows` are what is measured, with an `installation` of ours and `peers` as `processes`, a `load` and a `sink`;
`report` and `plots` print.
"""
