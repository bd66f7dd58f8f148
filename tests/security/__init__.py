"""The security cases of this field, by name.

`test_index.py` lists every case and the tests that hold it, most of them beside the code; here are those
that attack a running server from outside.
"""
