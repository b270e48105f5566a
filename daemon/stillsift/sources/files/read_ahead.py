"""Reads and decodes the next stills of a folder in other threads, while one is decided.

Nothing depends on it: what is read ahead is used only for the very bytes that the source finds when
it comes to the file, and what cannot be read ahead is read then.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from ...frames import ArrayPicture
from ..items import FileIdentity
from .extent import refusal
from .header import read_header
from .opening import opened
from .pages import holds_several
from .still import ReadStill, decoded

_MOST_PIXELS = 25_000_000
"""Pixels of a still that is read ahead: with its pixels and what is measured, 150 MB at most."""


class ReadAhead:
    """Reads stills ahead in `jobs` threads."""

    def __init__(
        self,
        jobs: int,
        max_pixels: int,
        is_still: Callable[[Path, BinaryIO], bool],
    ) -> None:
        """Begins no thread yet. `is_still` tells whether a file is a still, as the source does."""
        self.depth = jobs + 2
        """Stills that are read, or wait for their turn."""
        self.measure: Callable[[ArrayPicture, bool], object] | None = None
        """Measures a picture by itself; called in the threads, also with whether it is thought to
        be a photograph. None: nothing is measured."""
        self.photographs = True
        """Whether the stills that come are photographs, and lie on no time line."""
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="ahead")
        self._max_pixels = min(max_pixels, _MOST_PIXELS)
        self._is_still = is_still
        self._begun: dict[Path, Future[ReadStill | None]] = {}

    def begin(self, paths: Iterable[Path]) -> None:
        """Begins to read these, in their order, and lets go what was begun and is not of them."""
        wanted = dict.fromkeys(paths)
        for path in [each for each in self._begun if each not in wanted]:
            self._begun.pop(path).cancel()
        for path in wanted:
            if path not in self._begun:
                self._begun[path] = self._pool.submit(self._read, path)

    def take(self, path: Path, data: bytes, *, wait: bool = True) -> ReadStill | None:
        """Returns the still at `path` with these bytes, which is a file of one picture.

        None: it is none, or was not read. Without `wait`, what is still being read stays.
        """
        begun = self._begun.get(path)
        if begun is None or not (wait or begun.done()):
            return None
        del self._begun[path]
        read = None if begun.cancel() else begun.result()
        return read if read is not None and read.digest == sha256(data).hexdigest() else None

    def close(self) -> None:
        """Ends the threads. What they do is waited for."""
        self._pool.shutdown(cancel_futures=True)
        self._begun.clear()

    def _read(self, path: Path) -> ReadStill | None:
        try:
            with opened(path) as file:
                size = FileIdentity.from_stat(os.fstat(file.fileno())).size
                if refusal(file, size, self._max_pixels, path.suffix.lower()) is not None:
                    return None
                file.seek(0)
                data = file.read()
            if not self._is_still(path, io.BytesIO(data)):
                return None
            if holds_several(data, path, self._max_pixels):
                return None
            header = read_header(data, path, self._max_pixels)
            digest = sha256(data).hexdigest()
            picture = decoded(data, header, path, digest)
            measured = self.measure(picture, self.photographs) if self.measure else None
        except Exception:  # noqa: BLE001 - the source meets the same when it comes to the file
            return None
        return ReadStill(digest, header, picture, measured)
