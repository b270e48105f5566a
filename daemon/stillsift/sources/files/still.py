"""Makes one frame of one photo: reads its header, then decodes it whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from ...arrays import Image as Pixels
from ...frames import MEASURED_WIDTH, ArrayPicture, Frame
from ..items import FileIdentity, origin_of
from ..times import Taken, Times
from .contents import Kind, head_of, kind_of
from .extent import extent_of, refusal
from .header import DecodeError, Header, read_header
from .opening import opened
from .pixels import decoded_pixels, reduction, upright_pixels


@dataclass(frozen=True, slots=True, eq=False)
class ReadStill:
    """Holds a still that was read before its turn."""

    digest: str
    """SHA-256 (hex) of its file."""
    header: Header
    picture: ArrayPicture
    measured: object | None
    """What was measured of the picture then; None: nothing."""


def frame_of(
    data: bytes,
    path: Path,
    identity: FileIdentity,
    content_hash: str,
    source: str,
    max_pixels: int,
    times: Times,
    read: ReadStill | None = None,
) -> Frame:
    """Returns the frame in `data`, the whole content of `path`. Raises DecodeError.

    `read`: what was read of it ahead.
    """
    header = read_header(data, path, max_pixels) if read is None else read.header
    taken = times.of_still(path, header.taken, identity.mtime_ns)
    return Frame(
        source=source,
        origin=origin_of(path, identity),
        frame_index=0,
        captured_at_ns=taken.at_ns,
        captured_at_origin=taken.known_by,
        picture=decoded(data, header, path, content_hash) if read is None else read.picture,
        file=path,
        content_hash=content_hash,
        timed=taken.timed,
        quality=header.quality,
        ahead=None if read is None else read.measured,
    )


class Unreadable(Exception):
    """Says that a still cannot be opened or decoded."""


def size_at(path: Path, max_pixels: int) -> tuple[int, int]:
    """Returns (width, height) that a still announces, as stored; (0, 0): nobody knows.

    Raises Unreadable.
    """
    try:
        with opened(path) as file:
            kind = _refused(file, path, max_pixels)
            extent = None if kind is Kind.RAW else extent_of(file, kind)
            return (0, 0) if extent is None else (extent.width, extent.height)
    except OSError as error:
        raise Unreadable(str(error)) from error


def still_at(path: Path, max_pixels: int) -> ReadStill:
    """Reads the still at an absolute path; of a file of several pictures, the first one.

    Raises Unreadable.
    """
    try:
        with opened(path) as file:
            _refused(file, path, max_pixels)
            file.seek(0)
            data = file.read()
        header = read_header(data, path, max_pixels)
        digest = sha256(data).hexdigest()
        return ReadStill(digest, header, decoded(data, header, path, digest), None)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    except DecodeError as error:
        raise Unreadable(error.reason) from error


def looked_at(path: Path, max_pixels: int) -> tuple[Header, ArrayPicture]:
    """Returns a still that is looked at, but not decided. Raises Unreadable."""
    read = still_at(path, max_pixels)
    return read.header, read.picture


def _refused(file: BinaryIO, path: Path, max_pixels: int) -> Kind:
    """Returns the kind of an open file; raises Unreadable where it may not be read as a photo."""
    suffix = path.suffix.lower()
    reason = refusal(file, os.fstat(file.fileno()).st_size, max_pixels, suffix)
    if reason is not None:
        raise Unreadable(reason)
    return kind_of(head_of(file), suffix)


def picture_of(data: bytes, path: Path, max_pixels: int) -> ArrayPicture:
    """Returns the picture in `data`, the content of `path`, as it was when it was a frame.

    Raises DecodeError.
    """
    return decoded(data, read_header(data, path, max_pixels), path)


def decoded(data: bytes, header: Header, path: Path, content_hash: str = "") -> ArrayPicture:
    """Returns the picture in `data`, upright, no larger than it is measured. Raises DecodeError.

    `content_hash`: SHA-256 (hex) of the data; "": it has to be computed where it is needed.
    """
    smaller = reduction(data, header, path, MEASURED_WIDTH)
    pixels = upright_pixels(decoded_pixels(data, header, path, smaller), header.orientation)
    if smaller == 1:
        return ArrayPicture(pixels, header.quality)
    whole = partial(_whole, path, content_hash or sha256(data).hexdigest(), header)
    return ArrayPicture(pixels, header.quality, header.upright_size, whole)


def _whole(path: Path, content_hash: str, header: Header) -> Pixels | None:
    """Decodes a photo at its full size, upright; None: other data is there now, or none."""
    try:
        with opened(path) as file:
            data = file.read()
        if sha256(data).hexdigest() != content_hash:
            return None
        return upright_pixels(decoded_pixels(data, header, path), header.orientation)
    except (OSError, DecodeError):
        return None


def taken_of(
    data: bytes, path: Path, identity: FileIdentity, max_pixels: int, times: Times
) -> Taken:
    """Returns when the photo in `data` was taken, without decoding it."""
    try:
        exif = read_header(data, path, max_pixels).taken
    except DecodeError:
        exif = None
    return times.of_still(path, exif, identity.mtime_ns)
