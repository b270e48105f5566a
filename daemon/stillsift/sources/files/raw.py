"""Reads the raw picture of a camera by the preview that the camera has put into the file.

The preview shows the shot as the camera developed it. Where there is none, or a small one, the raw
pixels are developed at half size. LibRaw finds both.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import rawpy
from PIL import Image

from ...arrays import Image as Pixels
from .extent import jpeg_extent

_ORIENTATION = {3: 3, 5: 8, 6: 6}
"""EXIF orientation by LibRaw's number for how a picture is turned."""
_LEAST = 1000
"""Pixels of the longer side from which a preview is looked at instead of the raw pixels."""
_PREVIEW_SPARE = 4
"""Times the pixels of the raw picture that a preview may have, in a file that is not damaged."""


class NoPicture(Exception):
    """Says why a RAW gives no picture."""


@contextmanager
def opened_raw(data: bytes, max_pixels: int | None = None) -> Iterator[rawpy.RawPy]:
    """Opens a RAW for its header alone.

    Raises NoPicture for one of more than `max_pixels`; None: that was looked at.
    """
    with rawpy.imread(io.BytesIO(data)) as raw:
        sizes = raw.sizes
        width, height = (
            max(sizes.raw_width, sizes.width, sizes.iwidth),
            max(sizes.raw_height, sizes.height, sizes.iheight),
        )
        if max_pixels is not None and width * height > max_pixels:
            raise NoPicture(f"{width}x{height} is more than {max_pixels:,} pixels (max_pixels)")
        yield raw


def orientation_of(raw: rawpy.RawPy) -> int:
    """Returns the EXIF orientation."""
    return _ORIENTATION.get(raw.sizes.flip, 1)


def raw_pixels(data: bytes) -> Pixels:
    """Returns (height, width, 3) uint8 BGR, not yet upright, of a RAW whose header was looked at.

    What LibRaw raises for a damaged one is left to the caller.
    """
    with opened_raw(data) as raw:
        whole = max(raw.sizes.width, raw.sizes.height)
        most = _PREVIEW_SPARE * raw.sizes.width * raw.sizes.height
        preview = _preview(raw, most)
        if preview is not None and max(preview.shape[:2]) >= min(_LEAST, whole // 2):
            return preview
        developed = raw.postprocess(half_size=True, use_camera_wb=True, user_flip=0)
        return np.asarray(developed[:, :, ::-1], np.uint8).copy()


def _preview(raw: rawpy.RawPy, most: int) -> Pixels | None:
    """Returns the largest preview; None: there is none that can be read."""
    try:
        found = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if not isinstance(found.data, bytes):
        return found.data[:, :, ::-1].copy()
    extent = jpeg_extent(io.BytesIO(found.data))
    if extent is None or extent.weight > most or not found.data.rstrip(b"\0").endswith(_JPEG_END):
        return None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(found.data, np.uint8), flags)
    return None if pixels is None else np.asarray(pixels, np.uint8)


_JPEG_END = b"\xff\xd9"
_CMT = re.compile(rb"CMT([12])((?:II\*\0|MM\0\*))", re.DOTALL)
"""Boxes of a CR3 with its EXIF data: those of the file, and those of the shot."""
_CMT_WITHIN = 1 << 20
"""Bytes from the start of a CR3 within which they are."""


def raw_exif(data: bytes) -> Image.Exif:
    """Returns the EXIF data of a RAW; empty: it has none that is found."""
    exif = Image.Exif()
    if data[:2] in (b"II", b"MM"):  # some makers write other numbers behind it than a TIFF has
        mark = b"II*\0" if data[:2] == b"II" else b"MM\0*"
        exif.load_from_fp(io.BytesIO(mark + data[4:]))
    elif data[4:8] == b"ftyp":
        for found in _CMT.finditer(data, 0, _CMT_WITHIN):
            exif.load_from_fp(io.BytesIO(data[found.start(2) :]))
            if found[1] == b"2":
                break
    elif data.startswith(b"FUJIFILMCCD-RAW"):
        with Image.open(io.BytesIO(data[int.from_bytes(data[84:88]) :]), formats=("JPEG",)) as jpeg:
            exif = jpeg.getexif()
    return exif
