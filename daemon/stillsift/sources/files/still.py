"""Makes one frame of one photo: reads its header, then decodes it whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...frames import ArrayPicture, Frame
from ..items import FileIdentity, origin_of
from ..times import Taken, Times
from .extent import refusal
from .header import DecodeError, Header, read_header
from .opening import opened
from .pixels import decoded_pixels, upright_pixels


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
        picture=decoded(data, header, path) if read is None else read.picture,
        file=path,
        content_hash=content_hash,
        timed=taken.timed,
        quality=header.quality,
        ahead=None if read is None else read.measured,
    )


class Unreadable(Exception):
    """Says that a still cannot be opened or decoded."""


def frame_at(path: Path, max_pixels: int) -> Frame:
    """Returns the frame in a file that is looked at, but not decided. Raises Unreadable."""
    try:
        with opened(path) as file:
            identity = FileIdentity.from_stat(os.fstat(file.fileno()))
            if (
                reason := refusal(file, identity.size, max_pixels, path.suffix.lower())
            ) is not None:
                raise Unreadable(reason)
            file.seek(0)
            return frame_of(file.read(), path, identity, "", "", max_pixels, Times())
    except (OSError, DecodeError) as error:
        raise Unreadable(str(error)) from error


def picture_of(data: bytes, path: Path, max_pixels: int) -> ArrayPicture:
    """Returns the picture in `data`, the content of `path`, as it was when it was a frame.

    Raises DecodeError.
    """
    return decoded(data, read_header(data, path, max_pixels), path)


def decoded(data: bytes, header: Header, path: Path) -> ArrayPicture:
    """Returns the picture in `data`, upright. Raises DecodeError."""
    pixels = upright_pixels(decoded_pixels(data, header, path), header.orientation)
    return ArrayPicture(pixels, header.quality)


def taken_of(
    data: bytes, path: Path, identity: FileIdentity, max_pixels: int, times: Times
) -> Taken:
    """Returns when the photo in `data` was taken, without decoding it."""
    try:
        exif = read_header(data, path, max_pixels).taken
    except DecodeError:
        exif = None
    return times.of_still(path, exif, identity.mtime_ns)
