"""Reads the header of a photo: its size, its pixel layout, and its EXIF data.

Pillow reads headers and EXIF without decoding a pixel.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pi_heif
from PIL import ExifTags, Image

from ...problems import Problem
from .contents import Kind, kind_of
from .extent import HEADER_ALLOWANCE, boxes, bytes_at, refusal
from .raw import NoPicture, opened_raw, orientation_of, raw_exif

# `read_header` checks a limit of its own before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)

# "Corrupt EXIF data" must not refuse a picture, nor be printed. One filter for good: to switch
# warnings off for one call would need a lock, which a slow file could hold against all sources.
warnings.filterwarnings("ignore", module=r"PIL\.")

FORMATS = {
    Kind.JPEG: ("JPEG", "MPO"),
    Kind.PNG: ("PNG",),
    Kind.BMP: ("BMP",),
    Kind.TIFF: ("TIFF",),
    Kind.WEBP: ("WEBP",),
    Kind.AVIF: ("AVIF",),
    Kind.GIF: ("GIF",),
    Kind.HEIC: ("HEIF",),
    Kind.JP2: ("JPEG2000",),
    Kind.PNM: ("PPM",),
    Kind.TGA: ("TGA",),
}
"""Formats of Pillow that may read a kind: its other parsers are never asked."""
_MOST_READS = 100_000
"""Most pieces that Pillow may read of one file: it looks at bytes between the segments of a JPEG
one by one (measured: 14 s for 400 MB). A TIFF of 100 million pixels has 12 tags or so."""


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
    transparent: bool = False
    """Whether the picture has pixels that a ground may shine through."""
    quality: float | None = None
    """Quality of the compression, 0 to 100; 100: without loss; None: not known."""
    pictures: int = 1
    """Number of pictures of a HEIC, or of an animated WebP or AVIF. Pages of a TIFF do not count:
    `pages` finds them."""
    size: tuple[int, int] | None = None
    """(width, height) as stored, not yet upright; None: it is not known."""

    @property
    def upright_size(self) -> tuple[int, int] | None:
        """Gives (width, height) as it is looked at; None: it is not known."""
        return self.size if self.size is None or self.orientation < 5 else self.size[::-1]


@contextmanager
def bad_file(path: Path, reason: str) -> Iterator[None]:
    """Turns whatever Pillow or OpenCV raises for a file into a DecodeError with this reason.

    Their parsers raise any exception for a file that is malformed, each release others: the fault
    lies in the file all the same. Hold nothing in it but calls of theirs.
    """
    try:
        yield
    except DecodeError:
        raise
    except MemoryError as error:
        raise DecodeError(path, "takes more memory than there is") from error
    except Exception as error:
        raise DecodeError(path, reason) from error


class _Piecewise(io.BytesIO):
    """Lets Pillow read what is in memory, in so many pieces and so many bytes and no more."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._pieces, self._bytes = 0, 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Returns the next bytes; all that are left, as for WebP and AVIF, are read only once."""
        read = super().read(size)
        self._pieces += 1
        self._bytes += 0 if size is None or size < 0 else len(read)
        if self._pieces > _MOST_READS or self._bytes > HEADER_ALLOWANCE:
            raise OSError("the header has no end")
        return read


def opened(data: bytes, path: Path) -> Image.Image:
    """Opens a photo with Pillow, for its header alone. Raises DecodeError."""
    kind = kind_of(data[:64], path.suffix.lower())
    with bad_file(path, f"{kind.value} with a damaged header"):
        return Image.open(_Piecewise(data), formats=FORMATS[kind])


def read_header(data: bytes, path: Path, max_pixels: int) -> Header:
    """Reads pixel layout and EXIF without decoding.

    Raises DecodeError, also for a picture of more than `max_pixels`.
    """
    # Again, though it was asked before all of the file was read: whoever writes the file may have
    # changed it since, and set its size and times back.
    suffix = path.suffix.lower()
    if (reason := refusal(io.BytesIO(data), len(data), max_pixels, suffix)) is not None:
        raise DecodeError(path, reason)
    kind = kind_of(data[:64], suffix)
    if kind is Kind.RAW:
        return _raw_header(data, path, max_pixels)
    try:
        with opened(data, path) as image:
            orientation, taken = _exif(_exif_of(image, data, kind), path)
            # Decoders turn these upright themselves (OpenCV a TIFF also if it is told not to).
            orientation = 1 if kind in _UPRIGHT else orientation
            transparent = image.has_transparency_data
            pictures = getattr(image, "n_frames", 1) if kind in _SEVERAL else 1
            quality = _quality(image, kind, path)
            return Header(
                image.mode, orientation, taken, transparent, quality, pictures, image.size
            )
    except DecodeError:
        if kind is Kind.TIFF:  # Pillow does not know its pixels (such as three floats)
            return Header(mode="", orientation=1, taken=None)
        raise


def exif_of(data: bytes, path: Path) -> Image.Exif:
    """Returns the EXIF data of a photo; empty: it has none. Raises DecodeError."""
    kind = kind_of(data[:64], path.suffix.lower())
    with bad_file(path, "damaged EXIF"):
        if kind is Kind.RAW:
            return raw_exif(data)
        with opened(data, path) as image:
            return _exif_of(image, data, kind)()


_UPRIGHT = frozenset((Kind.TIFF, Kind.HEIC))
"""Kinds that decoders turn upright; of a HEIC its own boxes count, and never its EXIF data."""
_SEVERAL = frozenset((Kind.WEBP, Kind.AVIF, Kind.HEIC))
"""Kinds whose further pictures Pillow counts. Those of an MPO (another eye, a gain map, a preview)
are of the same shot."""


def _raw_header(data: bytes, path: Path, max_pixels: int) -> Header:
    with bad_file(path, "a camera RAW that is damaged or of a kind that is not known"):
        try:
            with opened_raw(data, max_pixels) as raw:
                orientation = orientation_of(raw)
        except NoPicture as error:
            raise DecodeError(path, str(error)) from error
    return Header("RGB", orientation, _exif(lambda: raw_exif(data), path)[1], quality=100.0)


_EXIF_BOX = b"JpgTiffExif->JP2"
"""Name (UUID) of the box of a JPEG 2000 with its EXIF data; Pillow does not read it."""


def _exif_of(image: Image.Image, data: bytes, kind: Kind) -> Callable[[], Image.Exif]:
    """Returns what reads the EXIF data of an open picture."""
    if kind is not Kind.JP2:
        # image.getexif() of a PNG would decode all of it to find data after its pixels.
        return lambda: Image.Image.getexif(image)
    return lambda: _exif_of_jp2(io.BytesIO(data))


def _exif_of_jp2(file: io.BytesIO) -> Image.Exif:
    exif = Image.Exif()
    for name, place, size in boxes(file):
        if name == b"uuid" and bytes_at(file, place, 16) == _EXIF_BOX:
            exif.load(bytes_at(file, place + 16, size - 16))
            break
    return exif


_REDUCED = 30.0
"""Quality that a photograph with a palette counts as. It is hardly ever the original; 64 colours
differ from that as a JPEG of quality 45 does, 256 as one of 68 (median PSNR of 13), and in large
areas of one shade far more."""
_LEAST_REDUCED = 64
"""Colours of a palette from which it may show a photograph."""
_DRAWN = 0.8
"""Share of pixels that have the colour of the next one from which a picture is drawn: of 25
photographs in 256 colours .12 to .69, of 12 drawings .88 to .99."""
_MEAN_AT_50 = 57.625
"""Mean of the luma table of the JPEG standard (Annex K), which libjpeg scales by its quality."""


def _quality(image: Image.Image, kind: Kind, path: Path) -> float | None:
    """Returns the quality of the compression on libjpeg's scale, as its own tables tell it.

    A photograph that was reduced to the colours of a palette counts as `_REDUCED`.
    """
    if kind in (Kind.PNG, Kind.BMP, Kind.GIF, Kind.PNM, Kind.TGA):
        return _REDUCED if _is_reduced(image, path) else 100.0
    tables: dict[int, list[int]] = getattr(image, "quantization", None) or {}
    if not tables:
        return None
    luma = tables[min(tables)]
    scale = 100 * sum(luma) / len(luma) / _MEAN_AT_50
    return min(100.0, 5000 / scale if scale > 100 else (200 - scale) / 2)


def _is_reduced(image: Image.Image, path: Path) -> bool:
    """Tells whether a palette is full of colours, and the picture is no drawing."""
    palette = image.palette if image.mode == "P" else None
    if palette is None:
        return False
    # `getpalette` would decode the picture.
    stored, order = bytes(palette.palette), palette.rawmode or palette.mode
    if order not in ("RGB", "BGR", "BGRX"):
        return False
    colours = {stored[at : at + 3] for at in range(0, len(stored), len(order))}
    if len(colours) < _LEAST_REDUCED or len(order) * len(colours) < len(stored):
        return False
    if image.width == 1 or all(len(set(colour)) == 1 for colour in colours):
        return False
    try:
        with bad_file(path, "damaged"):
            indices = np.asarray(image)
    except DecodeError:  # it is told when it is decoded
        return False
    return bool((indices[:, 1:] == indices[:, :-1]).mean() < _DRAWN)


def _exif(read: Callable[[], Image.Exif], path: Path) -> tuple[int, datetime | None]:
    """Returns EXIF orientation and time; a damaged block counts as absent."""
    try:
        with bad_file(path, "damaged EXIF"):
            exif = read()
            details = exif.get_ifd(ExifTags.IFD.Exif)
            orientation = exif.get(ExifTags.Base.Orientation, 1)
    except DecodeError:
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
