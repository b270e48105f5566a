"""The items of a source, collected by a thread as the daemon does, and the frame of one still."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stillsift.frames import Frame
from stillsift.sources import FileIdentity, Item, Source
from stillsift.sources.decoding import MAX_PIXELS
from stillsift.sources.files.extent import refusal
from stillsift.sources.files.header import DecodeError
from stillsift.sources.files.still import frame_of
from stillsift.sources.times import Times


class Collected:
    """Takes the items of a source from its thread; what the source raises is raised here."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.items: list[Item] = []
        """Those that were looked at."""
        self._arrived: queue.SimpleQueue[Item | BaseException | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()

    def _collect(self) -> None:
        try:
            for item in self._source.items():
                self._arrived.put(item)
            self._arrived.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where it is looked at
            self._arrived.put(error)

    def next(self, timeout_s: float) -> Item | None:
        """The next item; None: the source has ended. Raises queue.Empty."""
        item = self._arrived.get(timeout=max(0.01, timeout_s))
        if isinstance(item, BaseException):
            raise item
        return item

    def first(self, what: Callable[[Item], bool], within_s: float) -> Item:
        """The next item that is `what`. Raises queue.Empty."""
        deadline = time.monotonic() + within_s
        while True:
            item = self.next(deadline - time.monotonic())
            assert item is not None, "the source ended"
            self.items.append(item)
            if what(item):
                return item


def still_of(path: Path, max_pixels: int = MAX_PIXELS, times: Times | None = None) -> Frame:
    """The one frame of a still, by the steps of a directory. Raises DecodeError."""
    identity = FileIdentity.of(path)
    with path.open("rb") as file:
        if (reason := refusal(file, identity.size, max_pixels, path.suffix.lower())) is not None:
            raise DecodeError(path, reason)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return frame_of(data, path, identity, digest, "photos", max_pixels, times or Times())
