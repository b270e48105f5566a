"""Reads what a file really holds, whatever its name: its hash and its kind."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from ..items import Idle

TGA_SUFFIXES = frozenset({".tga", ".icb", ".vda", ".vst"})
"""Suffixes of TGA, whose content begins with nothing that tells it."""
RAW_SUFFIXES = frozenset(
    {".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2"}
    | {".rwl", ".raf", ".pef", ".srw", ".3fr", ".fff", ".iiq", ".erf", ".kdc", ".dcr", ".mef"}
    | {".mos", ".mrw", ".x3f"}
)
"""Suffixes of camera RAW. Many are a TIFF by their content, with a thumbnail as its first page."""
STILL_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".mpo", ".png", ".bmp", ".dib"}
    | {".tif", ".tiff", ".webp", ".avif", ".avifs", ".heic", ".heif", ".hif"}
    | {".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm"}
    | TGA_SUFFIXES
    | RAW_SUFFIXES
)
CLIP_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".f4v", ".ismv", ".mj2"}
    | {".3gp", ".3gpp", ".3g2", ".3gp2"}
    | {".mkv", ".mk3d", ".webm", ".avi", ".divx", ".nut"}
    | {".ts", ".mts", ".m2ts", ".m2t", ".trp", ".tod"}
    | {".mpg", ".mpeg", ".mpe", ".mpv", ".m1v", ".m2v", ".m2p", ".vob", ".vro"}
    | {".wmv", ".asf", ".flv", ".ogv", ".ogm", ".mxf"}
    | {".mjpeg", ".mjpg", ".gif", ".apng", ".ivf", ".obu"}
    | {".h264", ".264", ".avc", ".h26l", ".h265", ".265", ".hevc", ".heics", ".heifs"}
    | {".dav", ".dv", ".dif", ".y4m"}
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
    JP2 = "a JPEG 2000"
    PNM = "a PNM"
    TGA = "a TGA"
    RAW = "a camera RAW"
    CLIP = "a video"
    HTML = "an HTML page"
    PDF = "a PDF"
    ARCHIVE = "an archive"
    TEXT = "text"
    EMPTY = "nothing (0 bytes)"
    ZEROS = "zeros only"
    UNKNOWN = "no format known here"


STILL_KINDS = frozenset(
    {Kind.JPEG, Kind.PNG, Kind.BMP, Kind.TIFF, Kind.WEBP, Kind.AVIF, Kind.GIF}
    | {Kind.HEIC, Kind.JP2, Kind.PNM, Kind.TGA, Kind.RAW}
)
_SIGNATURES = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"BM", Kind.BMP),
    (b"II*\0", Kind.TIFF),
    (b"MM\0*", Kind.TIFF),
    (b"II+\0", Kind.TIFF),
    (b"MM\0+", Kind.TIFF),
    (b"GIF8", Kind.GIF),
    (b"\xff\x4f\xff\x51", Kind.JP2),
    *((raw, Kind.RAW) for raw in (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR")),
    *((raw, Kind.RAW) for raw in (b"\0MRM", b"FOVb", b"II\x1a\0\0\0HEAPCCDR")),
    (b"\x1aE\xdf\xa3", Kind.CLIP),
    (b"%PDF", Kind.PDF),
    (b"PK\x03\x04", Kind.ARCHIVE),
    (b"\x1f\x8b", Kind.ARCHIVE),
)


def kind_of(head: bytes, suffix: str = "") -> Kind:
    """Returns the kind that the first 64 bytes of a file announce.

    `suffix` (lower case) tells a TGA from anything else, and a camera's RAW from another TIFF.
    """
    if not head:
        return Kind.EMPTY
    if suffix in TGA_SUFFIXES and _may_be_tga(head):
        return Kind.TGA
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            raw = kind is Kind.TIFF and (suffix in RAW_SUFFIXES or head[8:10] == b"CR")
            return Kind.RAW if raw else kind
    if head[:4] == b"RIFF":
        return Kind.WEBP if head[8:12] == b"WEBP" else Kind.CLIP
    if head[4:8] == b"ftyp":
        return _isobmff_kind(head)
    if head.startswith(_JP2):
        return Kind.CLIP if head[20:24] == b"mjp2" else Kind.JP2
    if re.match(rb"P[1-6]\s", head):
        return Kind.PNM
    if not head.strip(b"\0"):
        return Kind.ZEROS
    return _text_kind(head)


_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"


def _isobmff_kind(head: bytes) -> Kind:
    """Returns the kind by the brand; what is a sequence of HEVC pictures is read as a clip."""
    brand, others = head[8:12], head[16 : int.from_bytes(head[:4], "big")]
    if brand in (b"avif", b"avis") or (brand == b"mif1" and b"avif" in others):
        return Kind.AVIF
    if brand == b"crx ":
        return Kind.RAW
    return Kind.HEIC if brand in (b"heic", b"heix", b"heim", b"heis", b"mif1") else Kind.CLIP


def _may_be_tga(head: bytes) -> bool:
    """Tells whether a header makes sense as that of a TGA, which has no signature."""
    if len(head) < 18 or head[1] > 1 or head[2] not in (1, 2, 3, 9, 10, 11):
        return False
    width, height = (int.from_bytes(head[at : at + 2], "little") for at in (12, 14))
    return bool(width and height) and head[16] in (8, 15, 16, 24, 32)


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
