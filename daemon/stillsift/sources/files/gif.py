"""Tells whether a GIF holds one picture or several. A GIF of one picture is a photograph."""

from __future__ import annotations

from typing import BinaryIO

_MOST_BLOCKS = 100_000
"""Most parts that are looked at; a picture of 60 million pixels has as many."""
_IMAGE, _EXTENSION, _END = 0x2C, 0x21, 0x3B


def shows_one_picture(file: BinaryIO) -> bool:
    """Tells whether an open GIF holds exactly one picture, by the blocks that it consists of.

    False where its blocks are damaged. Raises OSError.
    """
    file.seek(0)
    head = file.read(13)
    if len(head) < 13:
        return False
    _skip_colours(file, head[10])
    pictures = 0
    for _ in range(_MOST_BLOCKS):
        match file.read(1):
            case b"":  # some writers leave the end mark out
                return pictures == 1
            case code if code[0] == _END:
                return pictures == 1
            case code if code[0] == _IMAGE:
                pictures += 1
                place = file.read(9)
                if pictures > 1 or len(place) < 9:
                    return False
                _skip_colours(file, place[8])
                file.seek(1, 1)  # the size of the codes
            case code if code[0] == _EXTENSION:
                file.seek(1, 1)  # the kind of the extension
            case _:
                return False
        if not _skip_data(file):
            return False
    return False


def _skip_colours(file: BinaryIO, flags: int) -> None:
    """Passes over the table of colours that these flags announce, if they do."""
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), 1)


def _skip_data(file: BinaryIO) -> bool:
    """Passes over the pieces of data up to the empty one; returns whether there was one."""
    for _ in range(_MOST_BLOCKS):
        size = file.read(1)
        if not size:
            return False
        if size[0] == 0:
            return True
        file.seek(size[0], 1)
    return False
