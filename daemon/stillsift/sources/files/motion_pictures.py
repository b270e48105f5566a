"""Tells a still from a stream of pictures that begins as one does: motion JPEG, motion PNG, APNG.

Whoever reads such a stream as a still sees its first picture alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from .contents import Kind
from .extent import (
    BYTES_PER_PIXEL,
    HEADER_ALLOWANCE,
    JPEG_PIXELS,
    bytes_at,
    jpeg_extent,
    jpeg_segments,
    marks_in,
    pnm_header,
)

_STREAM_SUFFIXES = frozenset({".mjpeg", ".mjpg"})
_JPEG, _JPEG_ENDS = b"\xff\xd8\xff", b"\xff\xd9"
_PADDING = b"\0\xff\r\n "
"""What may stand between two pictures of a motion JPEG."""
_APP2, _SEVERAL = 0xE2, b"MPF\0"
"""The segment of a JPEG that names others behind it (CIPA DC-007: MPO, depth, gain maps)."""
_PIECE = 1 << 16
_MOST_TRIES = 100
"""Most places that look like the second picture of a motion JPEG. It is at the first or second of
them; each may be followed for thousands of segments (measured: 11 s for 1 MB made of them)."""
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 100_000


def is_stream(path: Path, file: BinaryIO, kind: Kind) -> bool:
    """Tells whether an open JPEG, PNG or PNM goes on with pictures of the same stream.

    What else may follow a photo does not count: a second view, preview or gain map that its header
    names, a picture of another size, a video, a maker's data, padding. In a file that is called
    motion JPEG, any JPEG behind the first one counts. Raises OSError.
    """
    match kind:
        case Kind.JPEG:
            return _is_motion_jpeg(file, named=path.suffix.lower() in _STREAM_SUFFIXES)
        case Kind.PNG:
            return _is_motion_png(file)
        case Kind.PNM:
            header = pnm_header(file)
            end = None if header is None else header.end
            return end is not None and re.match(rb"P[1-6]\s", bytes_at(file, end, 3)) is not None
    return False


def _is_motion_jpeg(file: BinaryIO, *, named: bool) -> bool:
    extent = jpeg_extent(file)
    position, named_end = None, 0
    for code, position in jpeg_segments(file):
        several = code == _APP2 and bytes_at(file, position + 2, 4) == _SEVERAL
        if several and not named:
            named_end = _named_end(file, position)
    if extent is None or position is None or code != JPEG_PIXELS:
        return False
    # Further than any real picture reaches, so that what follows a photo is not read for nothing.
    end = position + extent.weight * BYTES_PER_PIXEL + HEADER_ALLOWANCE
    tries = 0
    for found in marks_in(file, max(position, named_end), end, _JPEG):
        if found is None:
            continue
        tries += 1
        following = jpeg_extent(file, found)
        if not named:
            return following == extent and _ends_before(file, found)
        if following is not None:
            return True
        if tries == _MOST_TRIES:
            return False
    return False


def _ends_before(file: BinaryIO, begin: int) -> bool:
    """Tells whether a JPEG ends before the one at `begin`, with nothing but padding between."""
    while begin > 0:
        at = max(0, begin - _PIECE)
        data = bytes_at(file, at, begin - at).rstrip(_PADDING)
        if data:
            return bytes_at(file, at + len(data) - len(_JPEG_ENDS), len(_JPEG_ENDS)) == _JPEG_ENDS
        begin = at
    return False


_ENTRIES, _ENTRY_SIZE = 0xB002, 16


def _named_end(file: BinaryIO, position: int) -> int:
    """Returns where the last picture ends that the segment at `position` names.

    0: it is damaged, or there is no JPEG where it says; then it tells nothing of what follows, and
    what nobody would look at might be retired. See CIPA DC-007, 5.2.
    """
    data = bytes_at(file, position + 6, int.from_bytes(bytes_at(file, position, 2), "big") - 6)
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    first = number(4, 4)
    for at in range(first + 2, first + 2 + 12 * number(first, 2), 12):
        if number(at, 2) == _ENTRIES:
            entries, count = number(at + 8, 4), number(at + 4, 4) // _ENTRY_SIZE
            break
    else:
        return 0
    end = 0
    for at in range(entries, min(entries + count * _ENTRY_SIZE, len(data)), _ENTRY_SIZE):
        # Places count from the byte order on; the first picture is at 0 whatever stands before it.
        begin = number(at + 8, 4) and position + 6 + number(at + 8, 4)
        if bytes_at(file, begin, len(_JPEG)) != _JPEG:
            return 0
        end = max(end, begin + number(at + 4, 4))
    return end


def _is_motion_png(file: BinaryIO) -> bool:
    for name, position in _png_chunks(file):
        if name == b"IDAT" and is_animated_png(file):
            return True
        if name == b"IEND":
            return bytes_at(file, position + 12, len(_PNG)) == _PNG
    return False


def is_animated_png(file: BinaryIO) -> bool:
    """Tells whether an open file begins with a PNG of several pictures. Raises OSError.

    FFmpeg looks for that in the first 2,048 bytes only, in which a colour profile may stand.
    """
    for name, position in _png_chunks(file):
        if name == b"acTL":
            return int.from_bytes(bytes_at(file, position + 8, 4), "big") > 1
        if name == b"IDAT":
            break
    return False


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yields name and place of each chunk of the PNG that an open file begins with, if it does."""
    position = len(_PNG)
    if bytes_at(file, 0, position) != _PNG:
        return
    for _ in range(_MOST_CHUNKS):
        head = bytes_at(file, position, 8)
        if len(head) < 8:
            return
        yield head[4:], position
        position += 12 + int.from_bytes(head[:4], "big")
