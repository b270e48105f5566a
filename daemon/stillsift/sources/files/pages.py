"""Reads all pictures of a photo file that holds several.

The pages of a TIFF and the pictures of a HEIC are photographs. Those of an animated WebP or AVIF
are frames of a clip, as those of a GIF are. A GIF is read here where FFmpeg takes its pictures for
one.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from PIL import Image

from ...frames import ArrayPicture, Frame, bounded_ns
from ..items import Failed, FileIdentity, Finished, Idle, Item, origin_of
from ..pace import Pace, Standing
from ..times import Times
from .contents import Kind, kind_of
from .extent import bytes_at
from .gif import pictures_in, runs_together
from .header import FORMATS, DecodeError, Header, bad_file, read_header
from .pixels import DAMAGED, bgr_of
from .still import picture_of

MOST_PAGES = 10_000
"""Most pictures of one file that are read; that there are more is told as a failure."""
_NO_DURATION_MS, _LEAST_MS = 100, 10
"""Milliseconds that a picture of an animation is shown that says 0, as of a GIF in FFmpeg; and what
counts as 0, as in browsers: writers that are told no time write 0 or 1."""
_FURTHER = frozenset((Kind.TIFF, Kind.WEBP, Kind.AVIF, Kind.HEIC))
_MOST_DIRECTORIES = 2 * MOST_PAGES
"""Most directories of a TIFF that are gone through; a page may have a smaller copy."""
_SUBFILE_TYPE, _FIRST_ENTRIES = 254, 8
"""The tag that tells what a page is, and the entries of a directory among which it is; they are
sorted, and hardly a tag comes before it."""
_REDUCED_OR_MASK = 0b101
"""Bits of NewSubfileType: a smaller copy of another page, or the mask of one (TIFF 6.0)."""


@dataclass(frozen=True, slots=True)
class _Page:
    """Describes one picture of a file."""

    picture: ArrayPicture
    pts_s: float | None
    """When it is shown, seconds from the start of the animation; None: it is in none."""
    lasts_s: float = 0.0


def holds_several(data: bytes, path: Path, max_pixels: int) -> bool:
    """Tells whether a photo with this content holds several pictures.

    False where its header is damaged. Smaller copies, masks and what other boxes hold (depth, gain
    maps, thumbnails) do not count: they show the same shot.
    """
    kind = kind_of(data[:64], path.suffix.lower())
    if kind is Kind.TIFF:
        pages = _tiff_pages(data)
        return len(pages.places) > 1 or not pages.whole
    if kind is Kind.GIF:
        return runs_together(io.BytesIO(data))
    if kind not in _FURTHER:
        return False
    try:
        return read_header(data, path, max_pixels).pictures > 1
    except DecodeError:
        return False


class PageReader:
    """Reads one file of several pictures: yields frames and failures in order, then `Finished`.

    Frames before `start_frame` are decoded but not yielded again. Where `stopped` says so, reading
    ends without a `Finished`.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        identity: FileIdentity,
        content_hash: str,
        *,
        start_frame: int,
        rate: float | None,
        times: Times,
        max_pixels: int,
        stopped: Callable[[], bool],
    ) -> None:
        self._path = path
        self._source = source
        self._identity = identity
        self._content_hash = content_hash
        self._start_frame = start_frame
        self._pace = Pace(rate)
        self._standing: Standing[tuple[int, _Page]] = Standing(rate)
        self._times = times
        self._max_pixels = max_pixels
        self._stopped = stopped
        self._taken: datetime | None = None
        """When the photographs were taken, as their file says."""

    def items_of(self, data: bytes) -> Iterator[Item]:
        """Yields the items of the file with this content."""
        index, failures, last_s = 0, 0, 0.0
        lasts_s, told = 0.0, time.monotonic()
        for page in self._pages(data):
            if self._stopped():
                return
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                yield Idle(busy=True)
            if isinstance(page, DecodeError):
                failures += 1
                if index >= self._start_frame:
                    yield self._failed(index, failures, page.reason)
                index += 1
                continue
            if page.pts_s is None:
                yield from self._frames(index, page)
            else:
                last_s, lasts_s = page.pts_s, page.lasts_s
                if (stood := self._standing.until(round(last_s * 1e9))) is not None:
                    yield from self._frames(*stood)
                if self._pace.takes(last_s):
                    yield from self._frames(index, page)
                else:
                    self._standing.hold((index, page), round(last_s * 1e9))
            index += 1
        if (stood := self._standing.for_(round(lasts_s * 1e9))) is not None:
            yield from self._frames(*stood)
        frames = index if index > failures else 0
        yield Finished(self._path, self._identity, self._content_hash, frames, last_s)

    def _failed(self, index: int, number: int, reason: str) -> Failed:
        origin = origin_of(self._path, self._identity)
        return Failed(
            self._path,
            f"{origin}|damaged {number}",
            index,
            self._identity.mtime_ns,
            f"picture {index + 1} of several: {reason}",
        )

    def _frames(self, index: int, page: _Page) -> Iterator[Frame]:
        """Yields the frame of a page, unless it lies before `start_frame`."""
        if index < self._start_frame:
            return
        mtime_ns = self._identity.mtime_ns
        if page.pts_s is None:
            taken = self._times.of_still(self._path, self._taken, mtime_ns)
            at_ns, known_by = taken.at_ns, taken.known_by
        else:
            at_ns, known_by = self._times.of_clip_start(self._path, None, mtime_ns, 0.0)
            at_ns = bounded_ns(at_ns + round(page.pts_s * 1e9))
        yield Frame(
            source=self._source,
            origin=origin_of(self._path, self._identity),
            frame_index=index,
            captured_at_ns=at_ns,
            captured_at_origin=known_by,
            picture=page.picture,
            file=self._path,
            pts_s=page.pts_s,
            quality=page.picture.quality,
            page=page.pts_s is None,
        )

    def _pages(self, data: bytes) -> Iterator[_Page | DecodeError]:
        kind = kind_of(data[:64])
        try:
            header = read_header(data, self._path, self._max_pixels)
        except DecodeError as error:
            if kind is not Kind.TIFF:  # of which another page may be good
                yield error
                return
        else:
            self._taken = header.taken
        if kind is Kind.TIFF:
            yield from self._pages_of_tiff(data)
        else:
            yield from self._pages_of_pillow(data, header, kind)

    def _pages_of_pillow(
        self, data: bytes, header: Header, kind: Kind
    ) -> Iterator[_Page | DecodeError]:
        """Yields the pictures one after the other, up to one that is damaged."""
        at_s = 0.0
        pictures = pictures_in(io.BytesIO(data)) if kind is Kind.GIF else header.pictures
        try:
            with bad_file(self._path, DAMAGED):
                image = Image.open(io.BytesIO(data), formats=FORMATS[kind])
            with image:
                for number in range(min(pictures, MOST_PAGES)):
                    with bad_file(self._path, DAMAGED):
                        image.seek(number)
                        image.load()
                        pixels = bgr_of(image, transparent=header.transparent)
                    picture = ArrayPicture(pixels, header.quality)
                    if kind is Kind.HEIC:
                        yield _Page(picture, None)
                        continue
                    lasts_ms = image.info.get("duration") or 0
                    lasts_s = (lasts_ms if lasts_ms > _LEAST_MS else _NO_DURATION_MS) / 1000
                    yield _Page(picture, at_s, lasts_s)
                    at_s += lasts_s
        except DecodeError as error:
            yield error
        else:
            if pictures > MOST_PAGES:
                yield DecodeError(self._path, _too_many(pictures))

    def _pages_of_tiff(self, data: bytes) -> Iterator[_Page | DecodeError]:
        """Yields the pages: each is the first one of a TIFF that begins with it."""
        pages = _tiff_pages(data)
        for place in pages.places[:MOST_PAGES]:
            try:
                yield _Page(
                    picture_of(_beginning_with(data, place), self._path, self._max_pixels), None
                )
            except DecodeError as error:
                yield error
        if len(pages.places) > MOST_PAGES:
            yield DecodeError(self._path, _too_many(len(pages.places)))
        elif not pages.whole:
            yield DecodeError(self._path, "where the next page is to begin is none")


def page_of(data: bytes, path: Path, max_pixels: int, index: int) -> ArrayPicture:
    """Returns one of the photographs in a file with this content. Raises DecodeError."""
    kind = kind_of(data[:64])
    if kind is Kind.TIFF:
        places = _tiff_pages(data).places
        if index >= len(places):
            raise DecodeError(path, f"has no page {index + 1}")
        return picture_of(_beginning_with(data, places[index]), path, max_pixels)
    header = read_header(data, path, max_pixels)
    with bad_file(path, DAMAGED), Image.open(io.BytesIO(data), formats=FORMATS[kind]) as image:
        image.seek(index)
        return ArrayPicture(bgr_of(image, transparent=header.transparent), header.quality)


def _beginning_with(data: bytes, place: int) -> bytes:
    """Returns a TIFF whose first page is the one whose directory is at this place."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    size, word = (16, 8) if 43 in data[2:4] else (8, 4)
    with memoryview(data) as view:
        return b"".join((data[: size - word], place.to_bytes(word, order), view[size:]))


def _too_many(pictures: int) -> str:
    return f"holds {pictures:,} pictures: no more than {MOST_PAGES:,} are read"


@dataclass(frozen=True, slots=True)
class _TiffPages:
    """Says where the directories of the pages of a TIFF begin."""

    places: list[int]
    whole: bool
    """False: what comes behind the last of them cannot be read."""


def _tiff_pages(data: bytes) -> _TiffPages:
    file = io.BytesIO(data)
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    wide = int.from_bytes(data[2:4], order) == 43
    count_size, entry_size, word = (8, 20, 8) if wide else (2, 12, 4)
    position = int.from_bytes(data[8:16] if wide else data[4:8], order)
    places: list[int] = []
    seen: set[int] = set()
    while position and len(seen) < _MOST_DIRECTORIES:
        count = int.from_bytes(bytes_at(file, position, count_size), order)
        entries = bytes_at(file, position + count_size, min(count, _FIRST_ENTRIES) * entry_size)
        behind = bytes_at(file, position + count_size + count * entry_size, word)
        if position in seen or count == 0 or len(behind) < word:
            return _TiffPages(places, whole=False)
        seen.add(position)
        kind = 0
        for at in range(0, len(entries), entry_size):
            if int.from_bytes(entries[at : at + 2], order) == _SUBFILE_TYPE:
                kind = int.from_bytes(entries[at + 4 + word : at + 8 + word], order)
        if not kind & _REDUCED_OR_MASK:
            places.append(position)
        position = int.from_bytes(behind, order)
    return _TiffPages(places, whole=not position)
