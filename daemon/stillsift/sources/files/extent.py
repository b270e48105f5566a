"""Finds how large a photo becomes in memory, before anything decodes it or reads all of its file.

What a few bytes say is enough for that, and no decoder is asked, because some make room for a
picture as soon as they open it. Every step here has a limit: a file that was made to keep a parser
busy is refused.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .contents import STILL_KINDS, Kind, head_of, kind_of
from .gif import gif_size

HEADER_ALLOWANCE = 64 << 20
"""Most bytes of a file that may be metadata: thumbnails, colour profiles, maker notes."""
BYTES_PER_PIXEL = 8
"""Most bytes of a real file for each pixel by weight (four channels of 16 bits, uncompressed)."""
MOST_SEGMENTS = 4096
"""Most segments before the size of a JPEG. One holds 64 KiB, so metadata of the size that is
allowed takes a quarter of them."""
_LEAST_PIECE, _MOST_PIECE = 1 << 12, 1 << 20
"""Bytes of a file that are searched at once."""
_MOST_BOXES = 64
"""Most boxes before the one of an AVIF that describes its pictures; real files have one."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Describes the size of a photo as its file announces it."""

    width: int
    height: int
    bytes_per_channel: int = 1
    tile: int = 0
    """Pixels of one tile, which a decoder holds whole beside the picture; 0: there are none."""

    @property
    def weight(self) -> int:
        """Gives how much memory the picture takes, as the number of pixels of 8 or 16 bits."""
        return max(self.width * self.height, self.tile) * max(1, self.bytes_per_channel // 2)


def refusal(file: BinaryIO, size: int, max_pixels: int, suffix: str = "") -> str | None:
    """Returns why a file of `size` bytes is not read as a photo; None: it may be read.

    Reads a few bytes of an ordinary file, and never more than `HEADER_ALLOWANCE`. Raises OSError.
    """
    kind = kind_of(head_of(file), suffix)
    if kind not in STILL_KINDS:
        return f"is no picture that can be read: it holds {kind.value}"
    if kind is Kind.RAW:  # its size is looked at when it is opened, before a pixel is decoded
        if size > max_pixels * BYTES_PER_PIXEL + HEADER_ALLOWANCE:
            return f"{size:,} bytes are too many for a picture of {max_pixels:,} pixels"
        return None
    extent = extent_of(file, kind)
    if extent is None:
        return f"{kind.value} with a damaged header"
    width, height = extent.width, extent.height
    if extent.weight > max_pixels:
        if extent.weight == width * height:
            return f"{width}x{height} is more than {max_pixels:,} pixels (max_pixels)"
        return (
            f"{width}x{height} of {8 * extent.bytes_per_channel} bits takes the memory of "
            f"{extent.weight:,} pixels, more than {max_pixels:,} (max_pixels)"
        )
    # Several pictures may be in it, each of which is looked at by itself.
    pixels = max_pixels if kind in _SEVERAL else extent.weight
    if size > pixels * BYTES_PER_PIXEL + HEADER_ALLOWANCE:
        return f"{size:,} bytes are too many for one picture of {width}x{height}"
    return None


def extent_of(file: BinaryIO, kind: Kind) -> Extent | None:
    """Returns the size that a file of a kind of `STILL_KINDS` announces; None: it does not.

    A camera's RAW is none of them. Raises OSError.
    """
    return _READERS[kind](file)


def bytes_at(file: BinaryIO, position: int, size: int) -> bytes:
    """Returns up to `size` bytes from a position on; beyond any file are none. Raises OSError."""
    try:
        file.seek(position)
    except ValueError:  # beyond what any file can have
        return b""
    except OSError as error:
        if error.errno == errno.EINVAL:  # beyond what a file can have here
            return b""
        raise
    return file.read(size)


def marks_in(file: BinaryIO, begin: int, end: int, mark: bytes) -> Iterator[int | None]:
    """Yields where a mark stands between two bytes of a file, and None after each piece of it.

    The first piece is small, for a mark that is near. Raises OSError.
    """
    overlap, size = len(mark) - 1, _LEAST_PIECE
    while begin < end:
        data = bytes_at(file, begin, min(size, end - begin))
        at = data.find(mark)
        while at >= 0:
            yield begin + at
            at = data.find(mark, at + 1)
        yield None
        if len(data) <= overlap:
            return
        begin, size = begin + len(data) - overlap, min(2 * size, _MOST_PIECE)


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


_MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
"""Not `\\xff+`: it would be tried anew at each byte of a run of them (measured: 7 s for 20 kB), and
`re` holds back all threads meanwhile."""
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
"""Markers of a JPEG without a length."""
JPEG_END, JPEG_PIXELS = 0xD9, 0xDA
"""Markers of a JPEG: its end (EOI), and the beginning of its pixels (SOS)."""
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that give its size (SOF)."""


def jpeg_segments(file: BinaryIO, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yields the markers of the JPEG that begins at `start`, up to its pixels or its end.

    Each comes with the place behind it. Raises OSError.
    """
    position = start + 2
    for _ in range(MOST_SEGMENTS):
        found = _next_marker(file, position, start + HEADER_ALLOWANCE)
        if found is None:
            return
        yield found
        code, position = found
        if code in (JPEG_END, JPEG_PIXELS):
            return
        if code not in _ALONE:
            position += _big(bytes_at(file, position, 2))


def jpeg_extent(file: BinaryIO, start: int = 0) -> Extent | None:
    """Returns the size of the JPEG that begins at `start`; None: it gives none before its pixels.

    Raises OSError.
    """
    for code, position in jpeg_segments(file, start):
        if code in _SIZES:
            size = bytes_at(file, position, 7)
            deep = 2 if len(size) == 7 and size[2] > 8 else 1
            return Extent(_big(size[5:7]), _big(size[3:5]), deep) if len(size) == 7 else None
    return None


def _next_marker(file: BinaryIO, position: int, end: int) -> tuple[int, int] | None:
    """Returns the next marker of a JPEG and where it ends, beyond bytes that belong to nothing."""
    step = 64
    while position < end:
        data = bytes_at(file, position, step)
        first = data.find(b"\xff")  # ten times faster than the pattern where there is none
        if first >= 0 and (found := _MARKER.search(data, first)):
            return found[1][0], position + found.end()
        if len(data) < step:
            return None
        position += step - 1  # the last byte may be the first of a marker
        step = 1 << 20
    return None


def _png(file: BinaryIO) -> Extent | None:
    head = bytes_at(file, 0, 26)
    if len(head) < 26 or head[12:16] != b"IHDR":
        return None
    return Extent(_big(head[16:20]), _big(head[20:24]), 2 if head[24] > 8 else 1)


def _bmp(file: BinaryIO) -> Extent | None:
    head = bytes_at(file, 0, 26)
    if len(head) < 26:
        return None
    if _little(head[14:18]) == 12:
        return Extent(_little(head[18:20]), _little(head[20:22]))
    width, height = (int.from_bytes(head[at : at + 4], "little", signed=True) for at in (18, 22))
    return Extent(abs(width), abs(height))


def _gif(file: BinaryIO) -> Extent | None:
    size = gif_size(file)
    return None if size is None else Extent(*size)


def _webp(file: BinaryIO) -> Extent | None:
    head = bytes_at(file, 0, 30)
    if len(head) < 30:
        return None
    match head[12:16]:
        case b"VP8X":
            return Extent(_little(head[24:27]) + 1, _little(head[27:30]) + 1)
        case b"VP8L":
            bits = _little(head[21:25])
            return Extent((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8 ":
            return Extent(_little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF)
    return None


def _avif(file: BinaryIO) -> Extent | None:
    """Returns the largest size in the box `meta`: the picture is not smaller than its parts."""
    for name, position, size in boxes(file):
        if name == b"meta":
            meta = bytes_at(file, position, min(size, HEADER_ALLOWANCE))
            sizes = [
                (_big(meta[at + 8 : at + 12]), _big(meta[at + 12 : at + 16]))
                for at in (found.start() for found in re.finditer(rb"ispe", meta))
            ]
            if not sizes:
                return None
            width, height = max(sizes, key=lambda each: each[0] * each[1])
            return Extent(width, height, 2)  # of more than 8 bits, for all that is known here
    return None


_TIFF_TYPES = {1: 1, 3: 2, 4: 4, 16: 8}
"""Bytes of a value of each type that a size can have: BYTE, SHORT, LONG, LONG8."""
_WIDTH, _HEIGHT, _BITS, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 322, 323


def _tiff(file: BinaryIO) -> Extent | None:
    """Reads the first directory. Where a tag stands twice, decoders differ; the larger counts."""
    head = bytes_at(file, 0, 16)
    order: Callable[[bytes], int] = _little if head[:2] == b"II" else _big
    wide = order(head[2:4]) == 43
    start = order(head[8:16]) if wide else order(head[4:8])
    count_size, entry_size, word = (8, 20, 8) if wide else (2, 12, 4)
    count = min(order(bytes_at(file, start, count_size)), 0xFFFF)
    entries = bytes_at(file, start + count_size, count * entry_size)
    values: dict[int, int] = {}
    for at in range(0, len(entries) - entry_size + 1, entry_size):
        tag, size = order(entries[at : at + 2]), _TIFF_TYPES.get(order(entries[at + 2 : at + 4]))
        if size is None or tag not in (_WIDTH, _HEIGHT, _BITS, _TILE_WIDTH, _TILE_HEIGHT):
            continue
        number = order(entries[at + 4 : at + 4 + word])
        value = entries[at + 4 + word : at + entry_size]
        if number * size > word:  # the values stand elsewhere
            value = bytes_at(file, order(value), size * min(number, 8))
        found = [order(value[i : i + size]) for i in range(0, size * min(number, 8), size)]
        values[tag] = max([values.get(tag, 0), *found])
    if _WIDTH not in values or _HEIGHT not in values:
        return None
    return Extent(
        values[_WIDTH],
        values[_HEIGHT],
        (values.get(_BITS, 8) + 7) // 8,
        values.get(_TILE_WIDTH, 0) * values.get(_TILE_HEIGHT, 0),
    )


def _jp2(file: BinaryIO) -> Extent | None:
    """Reads the marker SIZ of the codestream, which decoders believe (ITU-T T.800, A.5.1)."""
    position = 0
    if bytes_at(file, 0, 4) != _CODESTREAM:
        found = next((at for name, at, _ in boxes(file) if name == b"jp2c"), None)
        if found is None:
            return None
        position = found
    head = bytes_at(file, position, 43)
    if len(head) < 43 or head[:4] != _CODESTREAM:
        return None
    right, bottom, left, top, tile_width, tile_height = (
        _big(head[at : at + 4]) for at in range(8, 32, 4)
    )
    if not 1 <= _big(head[40:42]) <= _MOST_CHANNELS:
        return None
    tile = min(tile_width, right) * min(tile_height, bottom)
    return Extent(right - left, bottom - top, 2 if head[42] & 0x7F > 7 else 1, tile)


_CODESTREAM = b"\xff\x4f\xff\x51"
_MOST_CHANNELS = 4
"""Most channels of a JPEG 2000; its decoder makes room for all that are announced."""


def boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yields the name, the place and the size of what each box of a file holds. Raises OSError."""
    position = 0
    for _ in range(_MOST_BOXES):
        head = bytes_at(file, position, 16)
        size, begin = _big(head[:4]), 8
        if size == 1:
            size, begin = _big(head[8:16]), 16
        if len(head) < 8 or 0 < size < begin:
            return
        yield head[4:8], position + begin, max(0, size - begin)
        if size == 0:  # it reaches to the end of the file
            return
        position += size


def _pnm(file: BinaryIO) -> Extent | None:
    header = pnm_header(file)
    return None if header is None else header.extent


@dataclass(frozen=True, slots=True)
class PnmHeader:
    """Describes a picture of a PNM."""

    extent: Extent
    end: int | None
    """Place behind its pixels; None: they are written in digits."""


def pnm_header(file: BinaryIO) -> PnmHeader | None:
    """Returns what the header of an open PNM says; None: it is damaged. Raises OSError."""
    head = _REMARK.sub(lambda found: b" " * len(found[0]), bytes_at(file, 0, 4096))
    kind = head[1:2]
    if kind in b"14":  # black and white: one bit a pixel, and no highest value
        found = re.match(rb"P[14]\s+(\d{1,9})\s+(\d{1,9})\s", head)
        if found is None:
            return None
        width, height = int(found[1]), int(found[2])
        size, deep = (width + 7) // 8 * height, 1
    else:
        found = re.match(rb"P[2356]\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,5})\s", head)
        if found is None:
            return None
        width, height = int(found[1]), int(found[2])
        deep = 2 if int(found[3]) > 255 else 1
        size = width * height * deep * (3 if kind in b"36" else 1)
    return PnmHeader(Extent(width, height, deep), found.end() + size if kind in b"456" else None)


_REMARK = re.compile(rb"#[^\r\n]*")


def _tga(file: BinaryIO) -> Extent | None:
    head = bytes_at(file, 0, 18)
    return Extent(_little(head[12:14]), _little(head[14:16])) if len(head) == 18 else None


_SEVERAL = frozenset((Kind.TIFF, Kind.WEBP, Kind.AVIF, Kind.HEIC))
"""Kinds of which a file may hold more pictures than one."""

_READERS: dict[Kind, Callable[[BinaryIO], Extent | None]] = {
    Kind.JPEG: jpeg_extent,
    Kind.PNG: _png,
    Kind.BMP: _bmp,
    Kind.TIFF: _tiff,
    Kind.WEBP: _webp,
    Kind.AVIF: _avif,
    Kind.GIF: _gif,
    Kind.HEIC: _avif,
    Kind.JP2: _jp2,
    Kind.PNM: _pnm,
    Kind.TGA: _tga,
}
