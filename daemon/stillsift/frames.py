"""Describes a frame: one picture, where it came from and when it was taken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from .arrays import Image

FULL_RANGE, VIDEO_RANGE = (0, 255), (16, 235)
"""Luma of black and of white."""


EARLIEST_NS, LATEST_NS = -(1 << 63), (1 << 63) - 1
"""First and last time that 64 bits of nanoseconds hold, as the ledger's columns do: the years 1677
to 2262. Clocks that were never set and damaged files give times outside of it."""


def bounded_ns(at_ns: int) -> int:
    """Returns the time itself, or the nearest time that can be recorded."""
    return max(EARLIEST_NS, min(LATEST_NS, at_ns))


SPACING_S = 0.19
"""Seconds, at least, between two frames that statistics of a source are learned from. At 60
frames/s the frames between them add nothing new and would fill every window."""


def lapse_s(since_s: float, at_s: float) -> float:
    """Returns the seconds from one time to another, rounded to the millisecond.

    A float holds a time since 1970 only to 0.2 microseconds. Rounding makes the decision about
    frames exactly a second apart independent of when they were taken.
    """
    return round(at_s - since_s, 3)


class TimeOrigin(StrEnum):
    """Names how the time of a frame is known."""

    EXIF = "exif"
    FILENAME = "filename"
    PTS = "pts"
    """Presentation time added to the start of the file or of the connection."""
    MTIME = "mtime"
    SEQUENCE = "sequence"
    """The number in the name divided by a rate, added to the time of the first still."""


class Picture(Protocol):
    """Gives the pixels of a frame, converted only when they are asked for.

    All methods return the picture upright (EXIF orientation or the container's rotation applied).
    """

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def levels(self) -> tuple[int, int]:
        """Gives the values of black and white in `luma`: (0, 255), or (16, 235) as in video."""

    def luma(self) -> Image:
        """Returns (height, width) uint8 luma, a view if the decoder allows: do not write to it.

        This and `bgr` are smaller where the picture was decoded so.
        """

    def rgb(self, width: int, height: int) -> Image:
        """Returns (height, width, 3) uint8 RGB, scaled without aliasing."""

    def chroma(self, width: int, height: int) -> Image:
        """Returns (height, width, 2) uint8 Cr and Cb of full range, 128 where there is no colour;
        about as it looks at this size."""

    def bgr(self) -> Image:
        """Returns (height, width, 3) uint8 BGR, as cv2 writes it; smaller where `luma` is."""


MEASURED_WIDTH = 640
"""Pixels of width to which a picture is made smaller before most is measured of it. A still that is
kept as the file it is may be decoded at any size from here on."""


@dataclass(frozen=True, slots=True)
class ArrayPicture:
    """Holds a picture that is already decoded: (height, width, 3) uint8 BGR."""

    pixels: Image
    quality: float | None = None
    """Quality of the compression it was decoded from, as `Frame.quality` says."""
    size: tuple[int, int] | None = None
    """(width, height) of a picture whose `pixels` were decoded smaller, at `MEASURED_WIDTH` or
    more; None: they are all of it."""
    whole: Callable[[], Image | None] | None = None
    """Decodes such a picture at its full size; None from it: the file is there no more."""

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1]) if self.size is None else self.size[0]

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0]) if self.size is None else self.size[1]

    @property
    def levels(self) -> tuple[int, int]:
        return FULL_RANGE

    def luma(self) -> Image:
        return cv2.cvtColor(self.pixels, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)

    def rgb(self, width: int, height: int) -> Image:
        return np.asarray(cv2.cvtColor(shrink(self.pixels, width, height), cv2.COLOR_BGR2RGB))

    def chroma(self, width: int, height: int) -> Image:
        return chroma_of(self.rgb(width, height))

    def bgr(self) -> Image:
        return self.pixels


def shrink(pixels: Image, width: int, height: int) -> Image:
    """Scales to (height, width) without aliasing, faster than one area filter does.

    cv2's area filter is fast only at a factor of two (1080p to 224: 7.1 ms at once, 0.9 ms by
    halves). So the picture is halved while both sides stay at least as large as asked. The rest is
    a factor below two, where linear interpolation still uses every pixel.
    """
    while pixels.shape[1] >= 2 * width and pixels.shape[0] >= 2 * height:
        half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = np.asarray(cv2.resize(pixels, half, interpolation=cv2.INTER_AREA), np.uint8)
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def chroma_of(rgb: Image) -> Image:
    """Returns (height, width, 2) Cr and Cb of RGB pixels."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., 1:], np.uint8)


@dataclass(frozen=True, slots=True)
class NoPixels:
    """Holds the size of a picture after its pixels were released."""

    width: int
    height: int

    @property
    def levels(self) -> tuple[int, int]:
        raise ValueError("the pixels of this picture were let go")

    def luma(self) -> Image:
        raise ValueError("the pixels of this picture were let go")

    def rgb(self, width: int, height: int) -> Image:
        raise ValueError(f"the pixels of this picture were let go, also at {width}x{height}")

    def chroma(self, width: int, height: int) -> Image:
        return self.rgb(width, height)

    def bgr(self) -> Image:
        raise ValueError("the pixels of this picture were let go")


@dataclass(frozen=True, slots=True)
class Frame:
    """Describes one picture offered by a source."""

    source: str
    origin: str
    """Lasting name of what the picture came out of: a file with its size and time of change, or one
    connection to a camera. With `frame_index` it identifies the frame within its source."""
    frame_index: int
    """0-based position in the file or connection, counting every decoded frame."""
    captured_at_ns: int
    """UTC, nanoseconds since 1970."""
    captured_at_origin: TimeOrigin
    picture: Picture
    file: Path | None = None
    """The file it came out of; None: a camera."""
    pts_s: float | None = None
    """Presentation time in the file or connection, seconds; None: a still has none."""
    content_hash: str | None = None
    """SHA-256 (hex) of the whole file, for stills; None: the frame is one of many in its file."""
    timed: bool = False
    """Whether a still lies on a time line: its name holds its time, or its source says so."""
    quality: float | None = None
    """Quality of a still's JPEG compression, 0 to 100; 100: without loss; None: not known."""
    page: bool = False
    """Whether it is a photograph that shares its file with others, such as a page: it lies on no
    time line, and is kept as a picture of its own."""

    data: bytes | None = field(default=None, compare=False, repr=False)
    """Content of a watched still's file as it was read: a camera may upload the next picture under
    the same name before this one is decided; None: the file has to be there still."""
    ahead: object | None = field(default=None, compare=False, repr=False)
    """What was measured of its pixels before its turn; None: nothing was. The sifter knows it."""

    def without_pixels(self) -> Frame:
        """Returns the same frame without its pixels, to free their memory."""
        picture = NoPixels(self.picture.width, self.picture.height)
        return replace(self, picture=picture, ahead=None)

    @property
    def id(self) -> str:
        """Gives 24 hex digits; the same frame of the same file has the same id on every run."""
        return frame_id(self.source, self.origin, self.frame_index)


def frame_id(source: str, origin: str, frame_index: int) -> str:
    """Returns 24 hex digits that identify one frame on every run."""
    key = "\0".join((source, origin, str(frame_index)))
    # A file name need not be UTF-8; Python represents its other bytes as surrogates.
    return hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=12).hexdigest()
