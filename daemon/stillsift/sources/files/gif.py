"""Finds the pictures of a GIF by the blocks that it consists of.

A GIF of one picture is a photograph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST_BLOCKS = 100_000
"""Most parts that are looked at; a picture of 60 million pixels has as many."""
_IMAGE, _EXTENSION, _END = 0x2C, 0x21, 0x3B
_CONTROL = b"\xf9"
"""The kind of a graphic control extension."""


class _Damaged(Exception):
    """Says that the blocks of a GIF are damaged, or too many."""


def shows_one_picture(file: BinaryIO) -> bool:
    """Tells whether an open GIF holds exactly one picture.

    False where its blocks are damaged. Raises OSError.
    """
    pictures = 0
    try:
        for _ in _pictures(file):
            pictures += 1
            if pictures > 1:
                return False
    except _Damaged:
        return False
    return pictures == 1


def runs_together(file: BinaryIO) -> bool:
    """Tells whether FFmpeg takes several pictures of an open GIF for one, and shows the first.

    It does where no graphic control extension stands before a picture. False where the blocks are
    damaged. Raises OSError.
    """
    try:
        controlled = [each.controlled for each in _pictures(file)]
    except _Damaged:
        return False
    return len(controlled) > 1 and not all(controlled[1:])


def pictures_in(file: BinaryIO) -> int:
    """Returns how many pictures an open GIF holds, up to where it is damaged. Raises OSError."""
    pictures = 0
    try:
        for _ in _pictures(file):
            pictures += 1
    except _Damaged:
        pass
    return pictures


def gif_size(file: BinaryIO) -> tuple[int, int] | None:
    """Returns width and height of an open GIF as it shows its first picture.

    The picture may reach beyond the screen that the header announces, and decoders make room for
    it. None: its blocks are damaged before the first picture. Raises OSError.
    """
    file.seek(0)
    head = file.read(10)
    try:
        first = next(_pictures(file), _Picture(0, 0))
    except _Damaged:
        return None
    return max(_little(head[6:8]), first.right), max(_little(head[8:10]), first.bottom)


@dataclass(frozen=True, slots=True)
class _Picture:
    """Describes one picture of a GIF."""

    right: int
    bottom: int
    """How far it reaches to the right and down, pixels."""
    controlled: bool = False
    """Whether a graphic control extension, which tells how long it is shown, stands before it."""


def _pictures(file: BinaryIO) -> Iterator[_Picture]:
    """Yields each picture of an open GIF. Raises _Damaged."""
    file.seek(0)
    head = file.read(13)
    if len(head) < 13:
        raise _Damaged
    _skip_colours(file, head[10])
    controlled = False
    for _ in range(_MOST_BLOCKS):
        match file.read(1):
            case b"":  # some writers leave the end mark out
                return
            case code if code[0] == _END:
                return
            case code if code[0] == _IMAGE:
                place = file.read(9)
                if len(place) < 9:
                    raise _Damaged
                left, top, width, height = (_little(place[at : at + 2]) for at in range(0, 8, 2))
                yield _Picture(left + width, top + height, controlled)
                controlled = False
                _skip_colours(file, place[8])
                file.seek(1, 1)  # the size of the codes
            case code if code[0] == _EXTENSION:
                controlled |= file.read(1) == _CONTROL
            case _:
                raise _Damaged
        _skip_data(file)
    raise _Damaged


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _skip_colours(file: BinaryIO, flags: int) -> None:
    """Passes over the table of colours that these flags announce, if they do."""
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), 1)


def _skip_data(file: BinaryIO) -> None:
    """Passes over the pieces of data up to the empty one. Raises _Damaged where there is none."""
    for _ in range(_MOST_BLOCKS):
        size = file.read(1)
        if not size:
            raise _Damaged
        if size[0] == 0:
            return
        file.seek(size[0], 1)
    raise _Damaged
