"""Reads an open file for FFmpeg, and tells of an error of the disk.

FFmpeg takes a read that fails for the end of the file, or for damage, as its demuxers see fit. Only
who reads can tell a bad disk from a bad file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO


class Reading:
    """Gives an open file to PyAV, with a position of its own."""

    def __init__(self, file: BinaryIO, refused: Callable[[OSError], None]) -> None:
        """Takes the file; `refused` is called with each error, and the file seems to end there."""
        self._descriptor = file.fileno()
        self._refused = refused
        self._at = 0

    def read(self, size: int) -> bytes:
        try:
            data = os.pread(self._descriptor, size, self._at)
        except OSError as error:
            self._refused(error)
            return b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            offset += os.fstat(self._descriptor).st_size
        if offset < 0:
            raise ValueError("before the start of the file")
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at
