"""Makes one frame of one photo: reads its header, then decodes it whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ...frames import ArrayPicture, Frame
from ..decoding import MAX_PIXELS
from ..items import FileIdentity, origin_of
from ..times import Taken, Times
from .header import DecodeError, read_header
from .pixels import decoded_pixels, upright_pixels

_BYTES_PER_PIXEL = 16
"""Most bytes of a real file for each pixel (four channels of 32 bits, uncompressed)."""
_HEADER_ALLOWANCE = 64 << 20
"""Most bytes of a file that may be metadata: thumbnails, colour profiles, maker notes."""


def read(
    path: Path, source: str, max_pixels: int = MAX_PIXELS, times: Times | None = None
) -> Frame:
    """Reads the one frame of a photo. Raises DecodeError with the file and the reason."""
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
    """Tells whether a file is too large to be one picture of at most `max_pixels`."""
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
    """Returns the frame in `data`, the whole content of `path`. Raises DecodeError."""
    header = read_header(data, path, max_pixels)
    taken = times.of_still(path, header.taken, identity.mtime_ns)
    return Frame(
        source=source,
        origin=origin_of(path, identity),
        frame_index=0,
        captured_at_ns=taken.at_ns,
        captured_at_origin=taken.known_by,
        picture=ArrayPicture(
            upright_pixels(decoded_pixels(data, header, path), header.orientation)
        ),
        file=path,
        content_hash=content_hash,
        timed=taken.timed,
    )


def taken_of(
    data: bytes, path: Path, identity: FileIdentity, max_pixels: int, times: Times
) -> Taken:
    """Returns when the photo in `data` was taken, without decoding it."""
    try:
        exif = read_header(data, path, max_pixels).taken
    except DecodeError:
        exif = None
    return times.of_still(path, exif, identity.mtime_ns)
