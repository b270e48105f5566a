"""Finds where recordings were joined to one file, as by `cat a.mp4 b.mp4`.

FFmpeg reads on in formats that were made for it (MPEG-TS, MPEG-PS, Ogg, raw video), in GIF and AVI.
In others it ends after the first part (MP4, FLV, ASF) or the second (Matroska), without a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..items import Idle
from .extent import bytes_at, marks_in

MOST_PARTS = 10_000
"""Most recordings of one file that are read: a week in recordings of a minute."""
_MOST_STEPS = 1_000_000
"""Most boxes, elements or objects that are passed over, which takes 2 s. Half a week in fragments
of a second has as many. What comes behind them counts as part of the recording before."""
_HEAD = 128
"""Bytes that are looked at where a recording may begin: more than any `ftyp` or EBML header has."""
_ENDLESS = 1 << 64
"""Size of a part of a recording that does not say where it ends."""


@dataclass(frozen=True, slots=True)
class _Format:
    """Describes a format whose files consist of parts that say how long they are."""

    mark: bytes
    at: int
    """Where the mark stands in the first bytes of a file."""
    size: Callable[[bytes], int | None]
    """Gives the size of the part with these first bytes; None: the format has no such part."""
    begins: Callable[[bytes], bool]
    """Tells whether a file begins with these bytes, which hold the mark, beyond chance."""


def parts_of(
    file: BinaryIO, end: int, stopped: Callable[[], bool]
) -> Generator[Idle, None, list[tuple[int, int]]]:
    """Finds where each recording of an open file begins and ends, up to byte `end`.

    `yield from` returns that: one where nothing was joined, or where FFmpeg itself reads on, and no
    more than `MOST_PARTS` and one, which is all the rest. It yields an `Idle` every second, and
    ends early when it is stopped. Raises OSError.
    """
    head = bytes_at(file, 0, _HEAD)
    form = next((form for form in _FORMATS if head[form.at :].startswith(form.mark)), None)
    starts = [0]
    told = time.monotonic()
    for start in () if form is None else _starts(file, end, form):
        starts += [] if start is None else [start]
        if stopped() or len(starts) > MOST_PARTS:
            break
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            yield Idle(busy=True)
    return list(zip(starts, [*starts[1:], end], strict=True))


def _starts(file: BinaryIO, end: int, form: _Format) -> Iterator[int | None]:
    """Yields where further files of a format begin, and None after each step without one.

    What was cut off says that it reaches further than it does, so the step over it leads beyond the
    file or to the middle of the next one. The beginning of that one is then searched.
    """
    position = last = 0
    for _ in range(_MOST_STEPS):
        head = bytes_at(file, position, _HEAD)
        if position >= end or not head:
            return
        begins = position and head[form.at :].startswith(form.mark)
        yield position if begins else None
        size = form.size(head)
        if size is not None and position + size <= end:
            last, position = position, position + size
            continue
        after = last if size is None else position
        for found in marks_in(file, after + 1 + form.at, end, form.mark):
            if found is None:
                yield None
            elif form.begins(bytes_at(file, found - form.at, _HEAD)):
                last = position = found - form.at
                break
        else:
            return


_BOXES = frozenset(
    b"ftyp styp moov moof mdat free skip wide uuid meta sidx ssix mfra pnot PICT udta emsg prft"
    b" pdin junk".split()
)
"""Kinds of the boxes that an MP4 or MOV consists of."""


def _box_size(head: bytes) -> int | None:
    if head[4:8] not in _BOXES:
        return None
    size = int.from_bytes(head[:4], "big")
    if size == 1:
        size = int.from_bytes(head[8:16], "big")
    return size if size >= 8 else _ENDLESS  # 0: up to the end


def _begins_mp4(head: bytes) -> bool:
    size = int.from_bytes(head[:4], "big")
    return size % 4 == 0 and 8 <= size <= _HEAD - 8 and head[size + 4 : size + 8] in _BOXES


_EBML = b"\x1a\x45\xdf\xa3"
_ELEMENTS = (_EBML, b"\x18\x53\x80\x67", b"\xec", b"\xbf")
"""Elements that a Matroska file consists of: its header, Segment, and Void or CRC-32 between."""


def _element_size(head: bytes) -> int | None:
    element = next((each for each in _ELEMENTS if head.startswith(each)), None)
    if element is None:
        return None
    first = head[len(element) : len(element) + 1]
    length_size = 9 - first[0].bit_length() if first and first[0] else 0
    length = head[len(element) : len(element) + length_size]
    if not length_size or len(length) < length_size:
        return _ENDLESS
    unmarked = int.from_bytes(length, "big") & ((1 << 7 * length_size) - 1)
    if unmarked == (1 << 7 * length_size) - 1:  # not known, as in what was cut off
        return _ENDLESS
    return len(element) + length_size + unmarked


def _begins_matroska(head: bytes) -> bool:
    return b"matroska" in head or b"webm" in head


_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_OBJECTS = frozenset(
    {
        _ASF,
        bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c"),
        bytes.fromhex("90080033b1e5cf1189f400a0c90349cb"),
        bytes.fromhex("d329e2d6da35d111903400a0c90349be"),
        bytes.fromhex("f803b1fead12644c840f2a1d2f7ad48c"),
        bytes.fromhex("d03fb73c4a0c0348953dedf7b6228f0c"),
    }
)
"""Objects that an ASF file consists of: header, data and its indices."""


def _object_size(head: bytes) -> int | None:
    if head[:16] not in _OBJECTS:
        return None
    size = int.from_bytes(head[16:24], "little")
    return size if size >= 24 else _ENDLESS


def _flv_size(head: bytes) -> int | None:
    return _ENDLESS if head.startswith(b"FLV") else None


def _begins_flv(head: bytes) -> bool:
    return head[4:5] in (b"\1", b"\4", b"\5") and head[5:13] == b"\0\0\0\x09\0\0\0\0"


_FORMATS = (
    _Format(b"ftyp", 4, _box_size, _begins_mp4),
    _Format(_EBML, 0, _element_size, _begins_matroska),
    _Format(_ASF, 0, _object_size, lambda _: True),
    _Format(b"FLV\1", 0, _flv_size, _begins_flv),
)
