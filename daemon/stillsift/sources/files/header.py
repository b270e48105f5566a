"""Reads the header of a photo: its size, its pixel layout, and its EXIF data.

Pillow reads headers and EXIF without decoding a pixel.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

from ...problems import Problem
from .contents import STILL_KINDS, Kind, kind_of

# `read_header` checks a limit of its own before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

MALFORMED = (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error)
"""Errors of Pillow: OSError for a file that it cannot identify, the others from its parsers of
malformed files."""

_PILLOW = threading.Lock()
"""Lock held while Pillow reads, because warnings are then off for the whole process."""


class DecodeError(Problem):
    """Says that a file gives no picture."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Header:
    """Describes what the header of a photo says."""

    mode: str
    """Pillow's name of the pixel layout; "" if Pillow cannot read the pixels."""
    orientation: int
    """EXIF orientation: 1 upright, 2-8 as in the standard."""
    taken: datetime | None
    """EXIF DateTimeOriginal, naive without an offset; None: not written, or no time."""


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Switches Pillow's warnings off, for one thread at a time."""
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Corrupt EXIF data" must not refuse a picture
        yield


def read_header(data: bytes, path: Path, max_pixels: int) -> Header:
    """Reads pixel layout and EXIF without decoding.

    Raises DecodeError, also for a picture of more than `max_pixels`.
    """
    kind = kind_of(data[:64])
    if kind not in STILL_KINDS:
        raise DecodeError(path, f"is no picture that can be read: it holds {kind.value}")
    try:
        with quiet_pillow(), Image.open(io.BytesIO(data)) as image:
            _refuse_large(image.width, image.height, max_pixels, path)
            orientation, taken = _exif(image)
            # Decoders turn a TIFF upright themselves (OpenCV also if it is told not to).
            return Header(image.mode, 1 if kind is Kind.TIFF else orientation, taken)
    except MALFORMED as error:
        if kind is Kind.TIFF and (size := _tiff_size(data)):
            _refuse_large(*size, max_pixels, path)
            return Header(mode="", orientation=1, taken=None)
        raise DecodeError(path, f"{kind.value} with a damaged header") from error


def _refuse_large(width: int, height: int, max_pixels: int, path: Path) -> None:
    if width * height > max_pixels:
        reason = f"{width}x{height} is more than {max_pixels:,} pixels (max_pixels)"
        raise DecodeError(path, reason)


def _exif(image: Image.Image) -> tuple[int, datetime | None]:
    """Returns EXIF orientation and time; a damaged block counts as absent."""
    try:
        # image.getexif() of a PNG would decode the whole picture to find data after its pixels.
        exif = Image.Image.getexif(image)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        orientation = exif.get(ExifTags.Base.Orientation, 1)
    except MALFORMED:
        return 1, None
    upright = orientation if orientation in range(1, 9) else 1
    return upright, _taken(details)


def _taken(details: dict[int, Any]) -> datetime | None:
    """Returns DateTimeOriginal with its fraction and offset.

    None: it is absent or no time, such as the zeros of an unset clock.
    """
    text = str(details.get(ExifTags.Base.DateTimeOriginal, "")).strip("\0 ")
    try:
        moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    fraction = str(details.get(ExifTags.Base.SubsecTimeOriginal, "")).strip("\0 ")
    if fraction.isdecimal():
        moment = moment.replace(microsecond=int(fraction[:6].ljust(6, "0")))
    offset = str(details.get(ExifTags.Base.OffsetTimeOriginal, "")).strip("\0 ")
    if re.fullmatch(r"[+-]\d\d:\d\d", offset):
        with suppress(ValueError):  # an offset of 24 hours or more is left out
            moment = datetime.fromisoformat(moment.isoformat() + offset)
    return moment


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    """Returns width and height of a TIFF whose pixels Pillow does not know (such as three floats).

    None: they cannot be read.
    """
    try:
        with quiet_pillow():
            tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
            file = io.BytesIO(data)
            file.seek(tags.next)
            tags.load(file)
            return int(tags[TiffImagePlugin.IMAGEWIDTH]), int(tags[TiffImagePlugin.IMAGELENGTH])
    except MALFORMED:
        return None
