"""Names pictures in the store, and reads source, day, time and frame id from their names.

kept/<source>/YYYY/MM/DD/<captured_at UTC>_<id>.<ext>, and the same in audit/
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

from ..sources.files.contents import RAW_SUFFIXES

_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)_([0-9a-f]{24})(\.\w+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_NAMELESS = "%"
"""Folder of a source without a name; a "%" in a name is encoded."""


def folder_name(source: str) -> str:
    """Returns the folder name of a source.

    Unsafe characters are percent-encoded, so that no two sources share a folder.
    """
    safe = "".join(
        c if c.isalnum() or c in "-_.+@=," else quote(c, safe="", errors="backslashreplace")
        for c in source
    )
    if safe.startswith("."):
        safe = f"%2E{safe[1:]}"
    if len(safe.encode()) > 200:
        tail = hashlib.sha256(source.encode(errors="backslashreplace")).hexdigest()[:16]
        safe = f"{safe.encode()[:150].decode(errors='ignore')}~{tail}"
    return safe or _NAMELESS


def source_name(folder: str) -> str:
    """Returns the source that this folder belongs to; a name that was too long stays shortened."""
    return "" if folder == _NAMELESS else unquote(folder)


def day_folder(area: Path, source: str, at_ns: int) -> Path:
    """Returns <area>/<source>/YYYY/MM/DD, relative to the store, by UTC."""
    at = instant(at_ns)
    return area / folder_name(source) / f"{at.year:04d}" / f"{at:%m}" / f"{at:%d}"


def instant(at_ns: int) -> datetime:
    """Returns the time in UTC with microseconds, limited to the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(microseconds=at_ns // 1000)
    except OverflowError:
        return (datetime.max if at_ns > 0 else datetime.min).replace(tzinfo=UTC)


def stem(at_ns: int, id: str) -> str:
    """Returns a kept file's name without its suffix, as `parse_name` reads it."""
    at = instant(at_ns)
    return f"{at.year:04d}{at:%m%dT%H%M%S.%f}Z_{id}"


def parse_name(name: str) -> tuple[int, str] | None:
    """Reads captured time (ns) and frame id from a kept file's name; None: another kind of name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        at = datetime.strptime(match[1], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000, match[2]


def id_meant(text: str) -> str:
    """Returns the id in a kept picture's name or path; takes other text as an id's first digits."""
    parsed = parse_name(Path(text).name)
    return text.lower() if parsed is None else parsed[1]


_MAGIC: tuple[tuple[re.Pattern[bytes], tuple[str, ...]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".mpo")),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), (".png", ".apng")),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), (".webp",)),
    (re.compile(rb"BM"), (".bmp", ".dib")),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), (".tif", ".tiff", *sorted(RAW_SUFFIXES))),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), (".avif", ".avifs")),
    (re.compile(rb"....ftyphei[cxms]", re.DOTALL), (".heic", ".heif", ".hif")),
    (re.compile(rb"....ftypmif1", re.DOTALL), (".heif", ".heic", ".hif", ".avif")),
    (re.compile(rb"....jP  ", re.DOTALL), (".jp2", ".jpf", ".jpx", ".j2k", ".j2c", ".jpc")),
    (re.compile(rb"\xff\x4f\xff\x51"), (".j2k", ".j2c", ".jpc", ".jp2", ".jpf", ".jpx")),
    (re.compile(rb"P[1-6]\s"), (".pnm", ".ppm", ".pgm", ".pbm")),
    (re.compile(rb"GIF8[79]a"), (".gif",)),
)


def still_suffix(head: bytes, suffix: str) -> str:
    """Returns the suffix for a still that begins with the bytes `head`.

    It is the still's own suffix in lower case, where that fits the format that the bytes show. Else
    it is the usual suffix of that format. For an unknown format it is the still's own, or ".bin"
    where that is not 1 to 8 letters, digits or underscores.
    """
    suffix = suffix.lower()
    for magic, suffixes in _MAGIC:
        if magic.match(head):
            return suffix if suffix in suffixes else suffixes[0]
    return suffix if re.fullmatch(r"\.\w{1,8}", suffix) else ".bin"
