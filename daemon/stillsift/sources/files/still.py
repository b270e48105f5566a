"""Makes one frame of one photo: reads its header, then decodes it whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ...frames import ArrayPicture, Frame
from ..decoding import MAX_PIXELS
from ..items import FileIdentity, origin_of
from ..times import Taken, Times
from .extent import refusal
from .header import DecodeError, read_header
from .pixels import decoded_pixels, upright_pixels


def read(
    path: Path, source: str, max_pixels: int = MAX_PIXELS, times: Times | None = None
) -> Frame:
    """Reads the one frame of a photo. Raises DecodeError with the file and the reason."""
    try:
        identity = FileIdentity.of(path)
        with path.open("rb") as file:
            if (reason := refusal(file, identity.size, max_pixels)) is not None:
                raise DecodeError(path, reason)
        data = path.read_bytes()
    except OSError as error:
        raise DecodeError(path, f"cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    return frame_of(data, path, identity, digest, source, max_pixels, times or Times())


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
