"""What SMTP and HTTP have in common: words for what goes wrong."""

from __future__ import annotations

import asyncio
import os
import ssl


def describe(error: BaseException) -> str:
    """An error of the network in a few words, without Python's own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, asyncio.TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error) or type(error).__name__
