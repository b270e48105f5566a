"""Finds the picture of a decision: in the store, where it came from, in quarantine, in its clip.

Paths come out of the ledger alone. What is decoded is remembered, up to a size.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np

from ..arrays import Image
from ..decisions import Decision
from ..frames import shrink
from ..ledger import LedgerReader
from ..problems import Problem
from ..sources import FileIdentity
from ..sources.decoding import MAX_CLIP_PIXELS
from ..sources.files import DecodeError, frame_again, page_of, picture_of
from ..sources.files.opening import opened
from ..sources.picture import ConversionError
from ..store.thumbnails import NAME, thumbnail_of

SIZES = {"small": 256, "large": 1280}
"""Longest sides of the pictures that are sent, in pixels."""
_QUALITY = {"small": 80, "large": 90}
_MOST_REMEMBERED = 64_000_000
"""Bytes of encoded pictures that are remembered: some thousand small ones."""
_MOST_READ = 512_000_000
"""Bytes of the largest still that is read again."""
_CLIP_S, _WAIT_S = 20.0, 5.0
"""Seconds for a frame of a clip to be decoded again, and to wait while another one is."""


class NoPicture(Problem):
    """Says why there is no picture of a decision."""


class Busy(NoPicture):
    """Says that other pictures are being decoded; this one may be had later."""


class Lies(StrEnum):
    """Says where a picture is."""

    STORE = "in the store"
    ORIGINAL = "the file it came from"
    QUARANTINE = "in quarantine"
    CLIP = "decoded again from its clip"
    THUMBNAIL = "a thumbnail, as the frame itself is gone"


@dataclass(frozen=True, slots=True)
class Place:
    """Says where the picture of a decision is."""

    lies: Lies
    path: Path
    sha256: str | None = None
    """SHA-256 (hex) of the file that was decided; None: it is a clip, or one of several pictures
    in it."""


class Pictures:
    """Reads pictures again. May be used by several threads at once."""

    def __init__(self, ledger: LedgerReader, store: Path, max_pixels: int) -> None:
        """`max_pixels`: of the largest still that is decoded."""
        self._ledger = ledger
        self._store = store
        self._max_pixels = max_pixels
        self._clip = threading.Lock()
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[str, str], tuple[bytes, Lies]] = OrderedDict()
        self._bytes = 0

    def place(self, decision: Decision) -> Place:
        """Returns where the picture of a decision is. Raises NoPicture."""
        try:
            return self._place(decision)
        except NoPicture:
            path = self._store / NAME
            if thumbnail_of(path, decision.id) is None:
                raise
            return Place(Lies.THUMBNAIL, path)

    def _place(self, decision: Decision) -> Place:
        kept = self._ledger.kept_file(decision.id)
        if kept is not None and kept.sha256 and (self._store / kept.path).is_file():
            return Place(Lies.STORE, self._store / kept.path)
        for done in self._ledger.corrections(decision.id):
            if done.undone_at is None and done.moved_to is not None:
                path = self._store / done.moved_to
                if path.is_file():
                    return Place(Lies.QUARANTINE, path)
        if decision.file is None:
            raise NoPicture("The frame of a camera is not kept anywhere once it was dropped.")
        file = self._ledger.last_file(decision.source, decision.file)
        if decision.content_hash is not None:
            return self._still(decision, decision.file, decision.content_hash)
        lies = Lies.CLIP if decision.pts_s is not None else Lies.ORIGINAL
        if decision.file.is_file():
            identity = FileIdentity.of(decision.file)
            if file is None or (identity.size, identity.mtime_ns) != (
                file.identity.size,
                file.identity.mtime_ns,
            ):
                raise NoPicture("The file that it was in has changed since.")
            return Place(lies, decision.file)
        moved = None if file is None else self._ledger.moved_from(file)
        if moved is not None and (self._store / moved.path).is_file():
            return Place(lies, (self._store / moved.path).resolve())
        raise NoPicture("The file that it was in is gone.")

    def _still(self, decision: Decision, file: Path, content_hash: str) -> Place:
        if file.is_file():
            return Place(Lies.ORIGINAL, file, content_hash)
        moved = self._ledger.quarantined_bytes(decision.source, content_hash)
        if moved is not None and (self._store / moved.path).is_file():
            return Place(Lies.QUARANTINE, (self._store / moved.path).resolve(), content_hash)
        raise NoPicture("Its file is gone, and is not in quarantine.")

    def pixels(self, decision: Decision) -> tuple[Image, Lies]:
        """Returns the picture of a decision, (height, width, 3) BGR, and where it was.

        A large still may be decoded smaller. Raises NoPicture.
        """
        place = self.place(decision)
        try:
            if place.lies is Lies.THUMBNAIL:
                small = thumbnail_of(place.path, decision.id)
                if small is None:
                    raise NoPicture("Its thumbnail is gone.")
                return picture_of(small, place.path, self._max_pixels).bgr(), place.lies
            if place.lies is Lies.CLIP:
                with self._one_clip():
                    found = frame_again(
                        *(place.path, decision.frame_index, decision.pts_s or 0.0),
                        *(MAX_CLIP_PIXELS, _CLIP_S),
                    )
                return found, place.lies
            with opened(place.path.resolve() if place.sha256 is None else place.path) as file:
                data = file.read(_MOST_READ + 1)
            if len(data) > _MOST_READ:
                raise NoPicture("It is too large to be shown.")
            if place.sha256 not in (None, hashlib.sha256(data).hexdigest()):
                raise NoPicture("Its file has changed since it was decided.")
            if place.lies is Lies.ORIGINAL and place.sha256 is None:
                picture = page_of(data, place.path, self._max_pixels, decision.frame_index)
            else:
                picture = picture_of(data, place.path, self._max_pixels)
            return picture.bgr(), place.lies
        except TimeoutError as error:
            raise NoPicture(
                f"It lies so far into its clip that it was not reached in {_CLIP_S:g} s."
            ) from error
        except (OSError, DecodeError, ConversionError, LookupError) as error:
            raise NoPicture(f"It cannot be read: {error}") from error

    def encoded(self, decision: Decision, size: str) -> tuple[bytes, Lies]:
        """Returns the picture as JPEG, in one of `SIZES`, and where it was. Raises NoPicture."""
        key = (decision.id, size)
        with self._lock:
            if (known := self._remembered.get(key)) is not None:
                self._remembered.move_to_end(key)
                return known
        pixels, lies = self.pixels(decision)
        for each in SIZES:  # the other one will be asked for next, and decoding takes longer
            data = _jpeg(pixels, each)
            self._remember((decision.id, each), data, lies)
            if each == size:
                asked = data
        return asked, lies

    def whole(self, decision: Decision) -> Path | Image:
        """Returns what a dropped frame is kept from: its file, or its pixels.

        Raises NoPicture.
        """
        place = self.place(decision)
        if place.sha256 is not None:
            return place.path
        if place.lies is Lies.THUMBNAIL:
            raise NoPicture("Only its thumbnail is left.")
        pixels, _ = self.pixels(decision)
        if (pixels.shape[1], pixels.shape[0]) != (decision.width, decision.height):
            raise NoPicture("It can only be decoded smaller than it was.")
        return pixels

    def forget(self, id: str) -> None:
        """Forgets the picture of a decision that has changed."""
        with self._lock:
            for size in SIZES:
                known = self._remembered.pop((id, size), None)
                self._bytes -= 0 if known is None else len(known[0])

    def _remember(self, key: tuple[str, str], data: bytes, lies: Lies) -> None:
        with self._lock:
            if key in self._remembered:
                return
            self._remembered[key] = data, lies
            self._bytes += len(data)
            while self._bytes > _MOST_REMEMBERED:
                _, (old, _) = self._remembered.popitem(last=False)
                self._bytes -= len(old)

    @contextmanager
    def _one_clip(self) -> Iterator[None]:
        """Lets one clip be decoded at a time: more would take the cores from the lines."""
        if not self._clip.acquire(timeout=_WAIT_S):
            raise Busy("Other frames are being decoded; look again in some seconds.")
        try:
            yield
        finally:
            self._clip.release()


def _jpeg(pixels: Image, size: str) -> bytes:
    share = min(1.0, SIZES[size] / max(pixels.shape[:2]))
    width, height = (max(1, round(side * share)) for side in pixels.shape[1::-1])
    made, data = cv2.imencode(
        ".jpg", shrink(pixels, width, height), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY[size]]
    )
    assert made
    return np.asarray(data).tobytes()
