"""Limits how much memory FFmpeg takes at once.

A few bytes of a file can ask for gigabytes: a compressed index is as large as it says (measured:
1.5 GB for an MP4 of 1.4 MB). FFmpeg has one limit for that, `av_max_alloc`, which holds for
everything that it does in this process, and PyAV does not pass it on.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from pathlib import Path

# Loads FFmpeg's libraries.
import av  # noqa: F401

_LOCK = threading.Lock()
_allowed = 0
"""Bytes that FFmpeg may take at once; 0: as many as it likes."""


def allow(most: int) -> None:
    """Lets FFmpeg take up to `most` bytes at once; more if it was allowed more before.

    So the source with the largest limit decides for all. Does nothing where FFmpeg cannot be found.
    """
    global _allowed
    with _LOCK:
        library = _libavutil()
        if library is not None and most > _allowed:
            library.av_max_alloc(ctypes.c_size_t(most))
            _allowed = most


@cache
def _libavutil() -> ctypes.CDLL | None:
    """Returns the very library that PyAV uses; None: it is not found among what is loaded."""
    for line in Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines():
        path = line.split(maxsplit=5)[-1]
        if "/libavutil" in path:
            library = ctypes.CDLL(path)
            library.av_max_alloc.restype = None
            return library
    return None
