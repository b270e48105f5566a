"""Reads an open file for FFmpeg, tells of an error of the disk, and limits what one packet takes.

FFmpeg takes a read that fails for the end of the file, or for damage, as its demuxers see fit. Only
who reads can tell a bad disk from a bad file. FFmpeg also gathers a packet, an index or a stretch
without an end in memory, however large a file says that it is. So it gets only so many bytes from
one packet to the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO


class Reading:
    """Gives an open file, or a part of it, to PyAV, with a position of its own.

    It is the `Budget` of the file's packets.
    """

    def __init__(
        self,
        file: BinaryIO,
        refused: Callable[[OSError], None],
        *,
        part: tuple[int, int],
        most: int,
    ) -> None:
        """Takes the part of the file from one byte up to another, to FFmpeg all that there is.

        At most `most` bytes may be read for one packet; the file seems to end where it would be
        more. `refused` is called with each error of the disk, and the file seems to end there.
        """
        self.file = file
        self._refused = refused
        self._begin, self._end = part
        self.most = self._left = most
        self._at = self._reached = self._begin
        self._ended_early = False
        """Whether the file seemed to end while it was opened."""

    def read(self, size: int) -> bytes:
        size = min(size, self._left, self._end - self._at)
        if size <= 0:
            return b""
        try:
            data = os.pread(self.file.fileno(), size, self._at)
        except OSError as error:
            self._refused(error)
            return b""
        self._at += len(data)
        self._reached = max(self._reached, self._at)
        self._left -= len(data)
        return data

    def passed(self) -> None:
        """Notes that a packet was given out, so that the next one may take as much again."""
        if self._left:
            self._left = self.most

    def begun(self) -> None:
        """Notes that the file was opened; some formats are now read again from their start."""
        self._ended_early = not self._left
        self._left = self.most

    @property
    def spent(self) -> bool:
        """Tells whether no more is read, because it would be more than `most`."""
        return not self._left or (self._ended_early and self._reached < self._end)

    @property
    def at(self) -> int:
        """Gives the byte of the file at which reading stands."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            offset += self._end
        else:
            offset += self._begin
        if offset < self._begin:
            raise ValueError("before the start of the file")
        self._at = offset
        return self.tell()

    def tell(self) -> int:
        return self._at - self._begin
