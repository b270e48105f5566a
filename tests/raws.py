"""Makes small camera RAWs: DNGs of a mosaic of real pixels, with a preview where one is wanted.

No camera wrote them; LibRaw reads them as it reads those of cameras.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from stillsift.arrays import Image

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10
_SIZES = {_BYTE: 1, _ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _SRATIONAL: 8}
_CODES = {_SHORT: "H", _LONG: "I", _RATIONAL: "II", _SRATIONAL: "ii"}

Entry = tuple[int, int, bytes | Sequence[int]]
"""Tag, type and values; of a rational the numerators, over 10,000."""


def dng(
    rgb: Image,
    preview: bytes | None = None,
    orientation: int = 1,
    taken: str = "2021:02:03 04:05:06",
) -> bytes:
    """A DNG with the mosaic of these pixels and, as its first picture, a JPEG."""
    mosaic = _mosaic(rgb)
    height, width = mosaic.shape
    raw: list[Entry] = [
        (254, _LONG, [0]),
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [16]),
        (259, _SHORT, [1]),
        (262, _SHORT, [32803]),
        (277, _SHORT, [1]),
        (278, _LONG, [height]),
        (33421, _SHORT, [2, 2]),
        (33422, _BYTE, bytes([0, 1, 1, 2])),
        (50717, _LONG, [65535]),
    ]
    about: list[Entry] = [
        (271, _ASCII, b"stillsift\0"),
        (272, _ASCII, b"made for a test\0"),
        (274, _SHORT, [orientation]),
        (50706, _BYTE, bytes([1, 4, 0, 0])),
        (50708, _ASCII, b"made for a test\0"),
        (50721, _SRATIONAL, [10000, 0, 0, 0, 10000, 0, 0, 0, 10000]),
        (50728, _RATIONAL, [10000, 10000, 10000]),
        (50778, _SHORT, [21]),
    ]
    exif: list[Entry] = [(36867, _ASCII, taken.encode() + b"\0")]
    file = bytearray(b"II*\0\0\0\0\0")
    exif_at = _append(file, _directory(exif, len(file)))
    pixels_at = _append(file, mosaic.astype("<u2").tobytes())
    raw += [(273, _LONG, [pixels_at]), (279, _LONG, [mosaic.size * 2])]
    about.append((34665, _LONG, [exif_at]))
    if preview is not None:
        raw_at = _append(file, _directory(raw, len(file)))
        preview_at = _append(file, preview)
        about.append((330, _LONG, [raw_at]))
        raw = [
            (254, _LONG, [1]),
            (256, _LONG, [width]),
            (257, _LONG, [height]),
            (258, _SHORT, [8, 8, 8]),
            (259, _SHORT, [7]),
            (262, _SHORT, [6]),
            (273, _LONG, [preview_at]),
            (277, _SHORT, [3]),
            (278, _LONG, [height]),
            (279, _LONG, [len(preview)]),
        ]
    file[4:8] = struct.pack("<I", _append(file, _directory(raw + about, len(file))))
    return bytes(file)


def _mosaic(rgb: Image) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """(height, width): each pixel's red, green or blue, linear, as a sensor behind a filter."""
    linear = ((rgb / 255.0) ** 2.2 * 65535).astype(np.uint16)
    mosaic = linear[..., 1].copy()
    mosaic[0::2, 0::2] = linear[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = linear[1::2, 1::2, 2]
    return mosaic


def _append(file: bytearray, data: bytes) -> int:
    """Where the data begins that was put behind the others."""
    at = len(file)
    file += data + b"\0" * (len(data) % 2)
    return at


def _directory(entries: Sequence[Entry], at: int) -> bytes:
    """A directory of a TIFF that begins at a place, with its values behind it."""
    written, values = struct.pack("<H", len(entries)), b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, kind, value in sorted(entries, key=lambda each: each[0]):
        data = value if isinstance(value, bytes) else _packed(kind, value)
        count = len(data) // _SIZES[kind]
        if len(data) > 4:
            place = struct.pack("<I", behind + len(values))
            values += data + b"\0" * (len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        written += struct.pack("<HHI", tag, kind, count) + place
    return written + struct.pack("<I", 0) + values


def _packed(kind: int, values: Sequence[int]) -> bytes:
    if kind in (_RATIONAL, _SRATIONAL):
        return b"".join(struct.pack(f"<{_CODES[kind]}", each, 10000) for each in values)
    return struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
