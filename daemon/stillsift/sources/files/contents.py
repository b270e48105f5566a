"""Reads what a file really holds, whatever its name: its hash and its kind."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from ..items import Idle

STILL_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".dib"}
    | {".tif", ".tiff", ".webp", ".avif"}
)
CLIP_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".f4v", ".ismv", ".mj2"}
    | {".3gp", ".3gpp", ".3g2", ".3gp2"}
    | {".mkv", ".mk3d", ".webm", ".avi", ".divx", ".nut"}
    | {".ts", ".mts", ".m2ts", ".m2t", ".trp", ".tod"}
    | {".mpg", ".mpeg", ".mpe", ".mpv", ".m1v", ".m2v", ".m2p", ".vob", ".vro"}
    | {".wmv", ".asf", ".flv", ".ogv", ".ogm", ".mxf"}
    | {".mjpeg", ".mjpg", ".gif", ".apng", ".ivf", ".obu"}
    | {".h264", ".264", ".avc", ".h26l", ".h265", ".265", ".hevc"}
)
"""Suffixes of video in the formats that `clip` reads. Those that mostly name sound or something
else (.ogg, .m4a, .mod) are left out; such a file is read when it is named itself."""
_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)


class Kind(Enum):
    """Names the kind of content that the first bytes of a file announce."""

    JPEG = "a JPEG"
    PNG = "a PNG"
    BMP = "a BMP"
    TIFF = "a TIFF"
    WEBP = "a WebP"
    AVIF = "an AVIF"
    GIF = "a GIF"
    HEIC = "a HEIC"
    CLIP = "a video"
    HTML = "an HTML page"
    PDF = "a PDF"
    ARCHIVE = "an archive"
    TEXT = "text"
    EMPTY = "nothing (0 bytes)"
    ZEROS = "zeros only"
    UNKNOWN = "no format known here"


STILL_KINDS = frozenset((Kind.JPEG, Kind.PNG, Kind.BMP, Kind.TIFF, Kind.WEBP, Kind.AVIF, Kind.GIF))
_SIGNATURES = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"BM", Kind.BMP),
    (b"II*\0", Kind.TIFF),
    (b"MM\0*", Kind.TIFF),
    (b"II+\0", Kind.TIFF),
    (b"MM\0+", Kind.TIFF),
    (b"GIF8", Kind.GIF),
    (b"\x1aE\xdf\xa3", Kind.CLIP),
    (b"%PDF", Kind.PDF),
    (b"PK\x03\x04", Kind.ARCHIVE),
    (b"\x1f\x8b", Kind.ARCHIVE),
)


def kind_of(head: bytes) -> Kind:
    """Returns the kind that the first 64 bytes of a file announce."""
    if not head:
        return Kind.EMPTY
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF":
        return Kind.WEBP if head[8:12] == b"WEBP" else Kind.CLIP
    if head[4:8] == b"ftyp":
        return _isobmff_kind(head[8:12])
    if not head.strip(b"\0"):
        return Kind.ZEROS
    return _text_kind(head)


def _isobmff_kind(brand: bytes) -> Kind:
    if brand in (b"avif", b"avis"):
        return Kind.AVIF
    return Kind.HEIC if brand in (b"heic", b"heix", b"mif1", b"hevc") else Kind.CLIP


def _text_kind(head: bytes) -> Kind:
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Kind.HTML
    return (
        Kind.TEXT if all(32 <= byte < 127 or byte in b"\t\n\r" for byte in head) else Kind.UNKNOWN
    )


def head_of(file: BinaryIO) -> bytes:
    """Returns the first 64 bytes of an open file. Raises OSError."""
    file.seek(0)
    return file.read(64)


@dataclass(frozen=True, slots=True)
class Hashes:
    """Holds the SHA-256 (hex) of a file, and of its beginning."""

    whole: str
    beginning: str | None
    """Of the first bytes that were asked for; None: none were."""
    end: int
    """Bytes up to which the file may hold something: behind it are zeros only."""


def hashing(
    file: BinaryIO, stopped: Callable[[], bool], beginning: int | None = None
) -> Generator[Idle, None, Hashes | None]:
    """Hashes a whole open file, and its first `beginning` bytes; `yield from` returns the hashes.

    It returns None when it is stopped. It yields an `Idle` every second, since a long recording
    takes a while. Raises OSError.
    """
    digest, first = hashlib.sha256(), None
    told = time.monotonic()
    done = end = 0
    file.seek(0)
    while chunk := file.read(_CHUNK):
        if beginning is not None and done < beginning <= done + len(chunk):
            part = digest.copy()
            part.update(chunk[: beginning - done])
            first = part.hexdigest()
        digest.update(chunk)
        done += len(chunk)
        if not _ZEROS.startswith(chunk):
            end = done
        if stopped():
            return None
        if time.monotonic() - told >= 1:
            told = time.monotonic()
            yield Idle(busy=True)
    return Hashes(digest.hexdigest(), first, end)
