"""The security cases of this field, by name.

`index.py` lists every case with its guards in the code and the tests that hold it, most of them beside the
code; here are those that attack a running server from outside.
"""
