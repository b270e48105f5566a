"""One photo: header first, then whole or not at all.

Pillow reads headers and EXIF without decoding a pixel; OpenCV decodes, because it is faster. What
OpenCV gets wrong without a word (CMYK, Lab, a JPEG that ends early) is caught here.
"""

from __future__ import annotations

import hashlib
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

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from ...arrays import Image as Pixels
from ...frames import ArrayPicture, Frame
from ...problems import Problem
from ..decoding import MAX_PIXELS
from ..items import FileIdentity, origin_of
from ..times import Times
from .contents import STILL_KINDS, Kind, kind_of

_BYTES_PER_PIXEL = 16
"""No real file is larger than its pixels times this (four channels of 32 bits, uncompressed)."""
_HEADER_ALLOWANCE = 64 << 20
"""Bytes of a file that may be metadata: thumbnails, colour profiles, maker notes."""

# Our own limit is checked on the header before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
# What OpenCV prints to stderr about a bad file, the error below says with the file's name. libjpeg
# and libpng inside it print as well, and know no switch.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_MALFORMED = (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error)
"""What Pillow raises: OSError where it cannot identify a file, the others from within its parsers
of malformed ones."""

_PILLOW = threading.Lock()
"""Warnings are switched off for the whole process while Pillow reads a header."""


class DecodeError(Problem):
    """A file that gives no picture."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Header:
    mode: str
    """Pillow's name of the pixel layout; "" where Pillow cannot read the pixels."""
    orientation: int
    """EXIF: 1 upright, 2-8 as in the standard."""
    taken: datetime | None
    """EXIF DateTimeOriginal, naive without an offset; None: not written."""


def read(
    path: Path, source: str, max_pixels: int = MAX_PIXELS, times: Times | None = None
) -> Frame:
    """The one frame of a photo. Raises DecodeError, naming the file and the reason."""
    try:
        identity = FileIdentity.of(path)
        if too_large(identity, max_pixels):
            raise DecodeError(path, f"{identity.size:,} bytes are too many for one picture")
        data = path.read_bytes()
    except OSError as error:
        raise DecodeError(path, f"cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    return frame_of(data, path, identity, digest, source, max_pixels, times or Times())


def too_large(identity: FileIdentity, max_pixels: int) -> bool:
    """Whether the file cannot be one picture of at most `max_pixels`, so is not worth reading."""
    return identity.size > max_pixels * _BYTES_PER_PIXEL + _HEADER_ALLOWANCE


def frame_of(
    data: bytes,
    path: Path,
    identity: FileIdentity,
    content_hash: str,
    source: str,
    max_pixels: int,
    times: Times,
) -> Frame:
    """The frame in `data`, the whole content of `path`. Raises DecodeError."""
    header = _header(data, path, max_pixels)
    captured_at_ns, known_by = times.of_still(path, header.taken, identity.mtime_ns)
    return Frame(
        source=source,
        origin=origin_of(path, identity),
        frame_index=0,
        captured_at_ns=captured_at_ns,
        captured_at_origin=known_by,
        picture=ArrayPicture(_upright(_decoded(data, header, path), header.orientation)),
        file=path,
        content_hash=content_hash,
    )


# --- header


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Corrupt EXIF data" is no reason to refuse a picture
        yield


def _header(data: bytes, path: Path, max_pixels: int) -> _Header:
    """Size, layout and EXIF, without decoding. Raises DecodeError, also where it is too large."""
    kind = kind_of(data[:64])
    if kind not in STILL_KINDS:
        raise DecodeError(path, f"is no picture that can be read: it holds {kind.value}")
    try:
        with _quiet_pillow(), Image.open(io.BytesIO(data)) as image:
            _refuse_large(image.width, image.height, max_pixels, path)
            orientation, taken = _exif(image)
            # Decoders turn a TIFF upright themselves (OpenCV also where it is told not to).
            return _Header(image.mode, 1 if kind is Kind.TIFF else orientation, taken)
    except _MALFORMED as error:
        if kind is Kind.TIFF and (size := _tiff_size(data)):
            _refuse_large(*size, max_pixels, path)
            return _Header(mode="", orientation=1, taken=None)
        raise DecodeError(path, f"{kind.value} with a damaged header") from error


def _refuse_large(width: int, height: int, max_pixels: int, path: Path) -> None:
    if width * height > max_pixels:
        reason = f"{width}x{height} is more than {max_pixels:,} pixels (max_pixels)"
        raise DecodeError(path, reason)


def _exif(image: Image.Image) -> tuple[int, datetime | None]:
    """Orientation and time; a damaged block counts as absent."""
    try:
        # Not image.getexif(): a PNG's own decodes the whole picture to look behind its pixels.
        exif = Image.Image.getexif(image)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        orientation = exif.get(ExifTags.Base.Orientation, 1)
    except _MALFORMED:
        return 1, None
    upright = orientation if orientation in range(1, 9) else 1
    return upright, _taken(details)


def _taken(details: dict[int, Any]) -> datetime | None:
    """DateTimeOriginal with its fraction and offset; None: absent, or an unset clock's zeros."""
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
        with suppress(ValueError):  # of 24 hours or more: the time stands without it
            moment = datetime.fromisoformat(moment.isoformat() + offset)
    return moment


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a TIFF whose pixels Pillow does not know (three floats, for one)."""
    try:
        with _quiet_pillow():
            tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
            file = io.BytesIO(data)
            file.seek(tags.next)
            tags.load(file)
            return int(tags[TiffImagePlugin.IMAGEWIDTH]), int(tags[TiffImagePlugin.IMAGELENGTH])
    except _MALFORMED:
        return None


# --- pixels


def _decoded(data: bytes, header: _Header, path: Path) -> Pixels:
    """(height, width, 3) uint8 BGR as stored, not yet upright."""
    _refuse_cut_off(data, path)
    if header.mode in ("CMYK", "YCbCr", "LAB"):
        return _decoded_by_pillow(data, path)
    encoded = np.frombuffer(data, np.uint8)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(encoded, flags)
        if pixels is None and header.mode == "F":  # one float per pixel comes only as it is
            pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DecodeError(path, f"cannot be decoded: {error.err}") from error
    if pixels is None:
        raise DecodeError(path, "cannot be decoded: its data is damaged or incomplete")
    bgr = _eight_bit(pixels)
    return bgr if bgr.ndim == 3 else np.asarray(cv2.cvtColor(bgr, cv2.COLOR_GRAY2BGR), np.uint8)


def _refuse_cut_off(data: bytes, path: Path) -> None:
    """OpenCV fills what is missing of these with grey or black and reports nothing."""
    kind = kind_of(data[:64])
    if kind is Kind.JPEG and (share := _jpeg_share(data)) is not None:
        raise DecodeError(path, f"is cut off: the JPEG's end marker is missing{share}")
    if kind is Kind.BMP and (missing := _bmp_missing(data)) > 0:
        raise DecodeError(path, f"is cut off: {missing:,} bytes of the BMP are missing")


_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
"""Markers without a length."""


def _jpeg_share(data: bytes) -> str | None:
    """None for a JPEG that reaches its end marker, else a remark on how far it got.

    Walks the segments, so that the end marker of an embedded thumbnail does not count, and stops
    at the real one, so that bytes behind it do not matter.
    """
    position, scans = 2, 0
    while marker := _MARKER_IN_SCAN.search(data, position):
        position, code = marker.end(), data[marker.end() - 1]
        if code == 0xD9:
            return None
        if code in _ALONE:
            continue
        scans += code == 0xDA
        position += int.from_bytes(data[position : position + 2])
    return "" if scans else ", and no pixels came before"


def _bmp_missing(data: bytes) -> int:
    """Bytes of pixels that an uncompressed BMP announces and does not hold."""
    start, header, width, height = (
        int.from_bytes(data[at : at + 4], "little", signed=at >= 18) for at in (10, 14, 18, 22)
    )
    compression = int.from_bytes(data[30:34], "little")
    if header < 40 or compression not in (0, 3):
        return 0
    row = (width * int.from_bytes(data[28:30], "little") + 31) // 32 * 4
    return start + row * abs(height) - len(data)


_LAB_SIGN = np.array((0, 128, 128), np.uint8)
"""Pillow keeps a and b signed, OpenCV with an offset of 128."""


def _decoded_by_pillow(data: bytes, path: Path) -> Pixels:
    """Colour spaces that OpenCV takes for RGB or inverts (measured against Pillow's own)."""
    try:
        with _quiet_pillow(), Image.open(io.BytesIO(data)) as image:
            if image.mode == "LAB":
                return np.asarray(
                    cv2.cvtColor(np.asarray(image) ^ _LAB_SIGN, cv2.COLOR_Lab2BGR), np.uint8
                )
            return np.asarray(image.convert("RGB"), np.uint8)[:, :, ::-1].copy()
    except _MALFORMED as error:
        raise DecodeError(path, "cannot be decoded: its data is damaged or incomplete") from error


def _eight_bit(pixels: NDArray[Any]) -> Pixels:
    """Any depth to 0-255, by a rule that depends on the format rather than on the picture.

    16 bits: the high byte, except that a picture wholly below 4096 comes from a 12-bit sensor
    (those leave the upper bits empty, and would be black). Floats: 0-1, or 0-255 if larger.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        twelve_bit = int(pixels.max()) < 4096
        return np.asarray(pixels >> (4 if twelve_bit else 8), np.uint8)
    values = np.nan_to_num(pixels.astype(np.float32), nan=0.0)
    top = float(values.max())
    scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 255.0 / top
    return np.asarray(np.clip(values * scale + 0.5, 0, 255), np.uint8)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """EXIF orientation 1-8 undone."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
