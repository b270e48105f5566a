"""Finds where recordings were joined to one file, as by `cat a.mp4 b.mp4`.

FFmpeg reads on in formats that were made for it (MPEG-TS, MPEG-PS, Ogg, raw video), in GIF and AVI.
In others it ends after the first part (MP4, FLV, ASF) or the second (Matroska), without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from .extent import bytes_at

_CHUNK = 1 << 20
_MOST_STEPS = 1_000_000
"""Most boxes, elements or objects that are passed over, which takes 2 s. Half a week in fragments
of a second has as many. What comes behind them counts as part of the recording before."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_FLV = tuple(b"FLV\1" + bytes([tracks]) + b"\0\0\0\x09\0\0\0\0" for tracks in (1, 4, 5))


def parts_of(file: BinaryIO, end: int) -> list[tuple[int, int]]:
    """Returns where each recording of an open file begins and ends, up to byte `end`.

    One where nothing was joined, or where FFmpeg itself reads on. Raises OSError.
    """
    head = bytes_at(file, 0, 16)
    walk = next((walk for at, magic, walk in _WALKS if head[at:].startswith(magic)), None)
    starts = [0, *(walk(file, end) if walk is not None else ())]
    return list(zip(starts, [*starts[1:], end], strict=True))


def _boxes(file: BinaryIO, end: int) -> Iterator[int]:
    """Yields the boxes of an MP4 that begin another file."""
    position = 0
    for _ in range(_MOST_STEPS):
        head = bytes_at(file, position, 16) if position < end else b""
        if position and head[4:8] == b"ftyp":
            yield position
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8:  # to the end, or damage
            return
        position += size


def _elements(file: BinaryIO, end: int) -> Iterator[int]:
    """Yields the elements of a Matroska file that begin another file."""
    position: int | None = 0
    for _ in range(_MOST_STEPS):
        if position is None or position >= end:
            return
        head = bytes_at(file, position, 16)
        if position and head.startswith(_EBML):
            yield position
        id_size, length_size = _vint(head[:1]), _vint(head[4:5])
        if not head.startswith((_EBML, _SEGMENT)):
            length_size = _vint(head[id_size : id_size + 1])
        length = head[id_size : id_size + length_size]
        if not id_size or not length_size or len(length) < length_size:
            return
        unmarked = int.from_bytes(length, "big") & ((1 << 7 * length_size) - 1)
        if unmarked == (1 << 7 * length_size) - 1:  # not known, as in what was cut off
            position = _found(file, position + 4, end, (_EBML,))
        else:
            position += id_size + length_size + unmarked


def _vint(first: bytes) -> int:
    """Returns the number of bytes of an EBML number that begins with this one; 0: it is none."""
    return 9 - first[0].bit_length() if first and first[0] else 0


def _objects(file: BinaryIO, end: int) -> Iterator[int]:
    """Yields the objects of an ASF file that begin another file."""
    position: int | None = 0
    for _ in range(_MOST_STEPS):
        if position is None or position >= end:
            return
        head = bytes_at(file, position, 24)
        if position and head.startswith(_ASF):
            yield position
        size = int.from_bytes(head[16:24], "little")
        if size < 24 or position + size > end:
            position = _found(file, position + 16, end, (_ASF,))
        else:
            position += size


def _headers(file: BinaryIO, end: int) -> Iterator[int]:
    """Yields the headers of an FLV file that begin another file."""
    position = _found(file, 1, end, _FLV)
    while position is not None:
        yield position
        position = _found(file, position + 1, end, _FLV)


def _found(file: BinaryIO, position: int, end: int, marks: tuple[bytes, ...]) -> int | None:
    """Returns where the next of some marks stands; None: nowhere."""
    overlap = max(map(len, marks)) - 1
    while position < end:
        data = bytes_at(file, position, _CHUNK)
        found = [at for at in map(data.find, marks) if at >= 0]
        if found:
            return position + min(found)
        if len(data) <= overlap:
            return None
        position += len(data) - overlap
    return None


_WALKS: tuple[tuple[int, bytes, Callable[[BinaryIO, int], Iterator[int]]], ...] = (
    (4, b"ftyp", _boxes),
    (0, _EBML, _elements),
    (0, _ASF, _objects),
    (0, b"FLV", _headers),
)
"""Where the mark of a format stands, the mark, and what finds the files in it."""
