"""Decodes a photo, whole or not at all.

OpenCV decodes, because it is faster than Pillow. What it decodes wrongly without an error (CMYK,
Lab, a JPEG that ends early) is caught here.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ...arrays import Image as Pixels
from .contents import Kind, kind_of
from .extent import MOST_SEGMENTS
from .header import FORMATS, DecodeError, Header, bad_file
from .raw import raw_pixels
from .tones import eight_bit
from .transparency import laid_over_ground

# OpenCV would print errors to stderr; DecodeError reports them with the file's name. libjpeg and
# libpng inside it print too, and that cannot be switched off.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


_MISREAD = frozenset({"CMYK", "YCbCr", "LAB"})
"""Pillow's names of the colour spaces that OpenCV takes for RGB or inverts."""
_PILLOWS = frozenset((Kind.GIF, Kind.HEIC, Kind.JP2, Kind.PNM, Kind.TGA))
"""Kinds that OpenCV does not read, or reads otherwise in each of its builds."""
_MISREAD_TRANSPARENT = frozenset({Kind.TIFF, Kind.AVIF})
"""Kinds whose transparent pictures OpenCV gives otherwise than asked: it multiplies the colours of
a TIFF by how much they cover, or does not, and does not say on which scale those of an AVIF are."""
DAMAGED = "cannot be decoded: its data is damaged or incomplete"


_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
"""Sizes that a JPEG can be decoded at, by how many times smaller they are."""


def reduction(data: bytes, header: Header, path: Path, least_width: int) -> int:
    """Returns how many times smaller a photo can be decoded than it is: 1, 2, 4 or 8.

    Its upright width stays `least_width` or more. Only a JPEG is decoded sooner so: it leaves out
    the finest parts of each block (4000 x 3000: 28 instead of 72 ms), and gives what halving the
    whole picture gives.
    """
    size = header.upright_size
    if size is None or header.mode in _MISREAD or header.transparent:
        return 1
    if kind_of(data[:64], path.suffix.lower()) is not Kind.JPEG:
        return 1
    return max((by for by in _REDUCED if size[0] >= by * least_width), default=1)


def decoded_pixels(data: bytes, header: Header, path: Path, smaller: int = 1) -> Pixels:
    """Returns (height, width, 3) uint8 BGR as stored, not yet upright. Raises DecodeError.

    A transparent picture is laid over a ground, and one of more than 8 bits is mapped to 8.
    `smaller`: as `reduction` gives it.
    """
    kind = kind_of(data[:64], path.suffix.lower())
    _refuse_cut_off(data, kind, path)
    if kind is Kind.RAW:
        return _raw(data, path)
    by_pillow = header.mode in _MISREAD or kind in _PILLOWS
    if by_pillow or (header.transparent and kind in _MISREAD_TRANSPARENT):
        return _decoded_by_pillow(data, header, kind, path)
    encoded = np.frombuffer(data, np.uint8)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    if kind is not Kind.AVIF:  # its decoder knows whether white is 1,023 or 4,095
        flags |= cv2.IMREAD_ANYDEPTH
    if header.transparent:
        flags = cv2.IMREAD_UNCHANGED
    if smaller > 1:
        flags = _REDUCED[smaller] | cv2.IMREAD_IGNORE_ORIENTATION
    with bad_file(path, DAMAGED):
        try:
            pixels = cv2.imdecode(encoded, flags)
            if pixels is None and kind is Kind.TIFF:  # of 32 and 64 bits a pixel, only unchanged
                pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise DecodeError(path, f"cannot be decoded: {error.err}") from error
        if pixels is None:
            raise DecodeError(path, DAMAGED)
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            # 16 bits of transparency come with 16 bits of colour, on the same scale.
            return laid_over_ground(pixels if pixels.dtype == np.uint8 else _high_bytes(pixels))
        bgr = eight_bit(pixels)
        if bgr.ndim == 3:
            return bgr
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_GRAY2BGR), np.uint8)


def _high_bytes(pixels: np.ndarray[Any, Any]) -> Pixels:
    return np.asarray(pixels >> 8 if pixels.dtype == np.uint16 else pixels, np.uint8)


def _raw(data: bytes, path: Path) -> Pixels:
    with bad_file(path, DAMAGED):
        return raw_pixels(data)


def _refuse_cut_off(data: bytes, kind: Kind, path: Path) -> None:
    """Raises DecodeError for a JPEG, BMP or PNG that is cut off.

    OpenCV fills what is missing with grey or black and reports nothing. For a chunk of a PNG it
    takes all the memory that the chunk announces (measured: 4 GB and 15 s for a PNG of 5 kB).
    """
    if kind is Kind.JPEG and (share := _jpeg_share(data)) is not None:
        raise DecodeError(path, f"is cut off: the JPEG's end marker is missing{share}")
    if kind is Kind.BMP and (missing := _bmp_missing(data)) > 0:
        raise DecodeError(path, f"is cut off: {missing:,} bytes of the BMP are missing")
    if kind is Kind.PNG and (missing := _png_missing(data)) > 0:
        if data.endswith(_PNG_END):  # it is there to its end, and a length in it is wrong
            raise DecodeError(path, DAMAGED)
        raise DecodeError(path, f"is cut off: {missing:,} bytes of the PNG are missing")


_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]", re.DOTALL)
"""Markers with a length, and the end marker. `extent` says why there is no `\\xff+`."""


def _jpeg_share(data: bytes) -> str | None:
    """Returns None for a JPEG that reaches its end marker, else a remark on how far it goes.

    Reads segment by segment, so that the end marker of an embedded thumbnail does not count. Stops
    at the real end marker, so that bytes after it do not matter.
    """
    position, scans = 2, 0
    for _ in range(MOST_SEGMENTS):  # a file of nothing but empty ones would take minutes
        if (marker := _MARKER_IN_SCAN.search(data, position)) is None:
            break
        position, code = marker.end(), data[marker.end() - 1]
        if code == 0xD9:
            return None
        scans += code == 0xDA
        position += int.from_bytes(data[position : position + 2])
    return "" if scans else ", and no pixels came before"


def _bmp_missing(data: bytes) -> int:
    """Returns how many bytes an uncompressed BMP announces and does not hold; 0 or less: none."""
    start, header, width, height = (
        int.from_bytes(data[at : at + 4], "little", signed=at >= 18) for at in (10, 14, 18, 22)
    )
    compression = int.from_bytes(data[30:34], "little")
    if header < 40 or compression not in (0, 3):
        return 0
    row = (width * int.from_bytes(data[28:30], "little") + 31) // 32 * 4
    return start + row * abs(height) - len(data)


_PNG_END = b"IEND\xaeB`\x82"


def _png_missing(data: bytes) -> int:
    """Returns how many bytes the chunks of a PNG announce and it does not hold; 0: none."""
    position = 8
    while position < len(data):
        name = data[position + 4 : position + 8]
        position += int.from_bytes(data[position : position + 4]) + 12
        if name == b"IEND":
            break
    return max(0, position - len(data))


_SMALL = 64
"""Least width, pixels, at which a JPEG is decoded to see whether it is whole."""
_UNREAD = re.compile(rb"(\d+) extraneous bytes before marker 0xd9")
"""libjpeg's remark on coded data that is left over at the end of a picture."""


def refuse_damaged(data: bytes, header: Header, path: Path) -> None:
    """Raises DecodeError for a photo that cannot be decoded, and for a JPEG that is damaged.

    Where the coded data of a JPEG breaks off or makes no sense, libjpeg goes on with grey or with
    what it takes for the next block. It tells so on standard error alone. Of damage that changed a
    tenth of a picture or more it told 24 of 24 where data was missing and 45 of 64 where it was
    replaced; after the rest the code happens to fit again.

    What other threads write to standard error meanwhile is lost.
    """
    is_jpeg = kind_of(data[:64], path.suffix.lower()) is Kind.JPEG
    with _heard() as told:
        decoded_pixels(data, header, path, reduction(data, header, path, _SMALL))
        if is_jpeg and header.mode in _MISREAD:  # Pillow has decoded it, which tells nothing
            with bad_file(path, DAMAGED):
                cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[8])
    if not is_jpeg or b"Corrupt JPEG data" not in told:
        return
    if (unread := _UNREAD.search(told)) is not None:
        end = data.rfind(b"\xff\xd9")
        if len({*data[end - int(unread[1]) : end]}) == 1:
            return  # filled up, as some cameras do
    raise DecodeError(path, "is damaged: its coded data breaks off or makes no sense somewhere")


@contextmanager
def _heard() -> Iterator[bytearray]:
    """Gives what the process writes to standard error meanwhile, once it is over."""
    told = bytearray()
    sys.stderr.flush()
    with os.fdopen(os.memfd_create("heard"), "r+b", buffering=0) as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield told
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            told += file.readall()


_LAB_SIGN = np.array((0, 128, 128), np.uint8)
"""Mask that turns Pillow's signed a and b into those of OpenCV, with an offset of 128."""


def _decoded_by_pillow(data: bytes, header: Header, kind: Kind, path: Path) -> Pixels:
    """Decodes what OpenCV decodes wrongly (measured against Pillow). Raises DecodeError.

    That is colour spaces that it takes for RGB or inverts, and `_MISREAD_TRANSPARENT`.
    """
    # Its header was read, so there is an end to it. Its pixels may be in any number of pieces.
    with (
        bad_file(path, DAMAGED),
        Image.open(io.BytesIO(data), formats=FORMATS[kind]) as image,
    ):
        return bgr_of(image, transparent=header.transparent)


def bgr_of(image: Image.Image, *, transparent: bool) -> Pixels:
    """Returns (height, width, 3) uint8 BGR of an open picture; raises whatever Pillow does."""
    if image.mode == "LAB":
        return np.asarray(cv2.cvtColor(np.asarray(image) ^ _LAB_SIGN, cv2.COLOR_Lab2BGR), np.uint8)
    if transparent:
        rgba = np.asarray(image.convert("RGBA"), np.uint8)
        return laid_over_ground(rgba[:, :, (2, 1, 0, 3)])
    if image.mode.startswith("I"):  # Pillow would cut off what is above 255
        grey = eight_bit(np.asarray(image).astype(np.uint16))
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.asarray(image.convert("RGB"), np.uint8)[:, :, ::-1].copy()


def upright_pixels(pixels: Pixels, orientation: int) -> Pixels:
    """Turns pixels of EXIF orientation 1-8 upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
