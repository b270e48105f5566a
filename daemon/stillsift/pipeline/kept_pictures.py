"""Reads the pictures of kept frames again, so that photographs can be compared with them."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from pathlib import Path

from ..decisions import Decision, Outcome
from ..frames import ArrayPicture
from ..ledger import LedgerReader
from ..ledger.records import KeptFile
from ..sources.files import DecodeError, page_of, picture_of
from ..sources.files.opening import opened

log = logging.getLogger(__name__)

_MOST_OF_PAGES = 64 << 20
"""Most bytes of a file of several pages that is read again for one of them, in a dry run."""
_MOST_NOTED = 1024
"""Frames whose files are known without the ledger: more than wait for their record."""

_Place = tuple[Path, int | None]
"""A file, and the index of a picture in it; None: it holds one."""

_Original = tuple[Path, str]
"""The file that a still was kept of, and the SHA-256 (hex) of it."""


class KeptPictures:
    """Knows the files of kept frames: in the store, or where they were found."""

    def __init__(self, ledger: LedgerReader, store: Path | None, max_pixels: int) -> None:
        """`store`: root of the store; None: nothing is stored, as in a dry run."""
        self._ledger = ledger
        self._store = store
        self._max_pixels = max_pixels
        self._noted: OrderedDict[str, tuple[_Place, _Original | None]] = OrderedDict()

    def note(self, decision: Decision, kept: KeptFile | None) -> None:
        """Notes where a frame is kept, before that is recorded."""
        if decision.outcome is not Outcome.KEPT:
            return
        place = self._place(decision, kept)
        if place is not None:
            self._noted[decision.id] = place, _original(decision, kept)
        while len(self._noted) > _MOST_NOTED:
            self._noted.popitem(last=False)

    def picture(self, id_: str) -> ArrayPicture | None:
        """Returns the picture of a kept frame; None: it cannot be read.

        A kept still is its original byte for byte, so this is the very picture that was offered. Of
        one that was repaired the original is read, or, where that is gone, what was stored. A frame
        of a clip is read as it was stored; in a dry run it cannot be, and a page of a very large
        file is not.
        """
        found = self._noted.get(id_) or self._recorded(id_)
        if found is None:
            return None
        (path, page), original = found
        if original is not None and (picture := self._offered(*original)) is not None:
            return picture
        try:
            if page is None:
                return picture_of(path.read_bytes(), path, self._max_pixels)
            if path.stat().st_size > _MOST_OF_PAGES:
                return None
            return page_of(path.read_bytes(), path, self._max_pixels, page)
        except (OSError, DecodeError) as error:
            log.debug("%s: not compared by its pixels: %s", path, error)
            return None

    def _offered(self, path: Path, content_hash: str) -> ArrayPicture | None:
        """Returns the picture of an original; None: it is gone, or another file by now."""
        try:
            with opened(path) as file:
                data = file.read()
            if hashlib.sha256(data).hexdigest() != content_hash:
                return None
            return picture_of(data, path, self._max_pixels)
        except (OSError, DecodeError):
            return None

    def _recorded(self, id_: str) -> tuple[_Place, _Original | None] | None:
        if self._store is not None:
            kept = self._ledger.kept_file(id_)
            if kept is None:
                return None
            record = None if kept.repairs is None else self._ledger.decision(id_)
            original = None if record is None else _original(record.decision, kept)
            return (self._store / kept.path, None), original
        record = self._ledger.decision(id_)
        place = None if record is None else self._place(record.decision, None)
        return None if place is None else (place, None)

    def _place(self, decision: Decision, kept: KeptFile | None) -> _Place | None:
        if self._store is not None:
            return None if kept is None else (self._store / kept.path, None)
        if decision.file is None or decision.content_hash is not None:
            return None if decision.file is None else (decision.file, None)
        # A frame of a clip, which has a presentation time, is no file of its own.
        return (decision.file, decision.frame_index) if decision.pts_s is None else None


def _original(decision: Decision, kept: KeptFile | None) -> _Original | None:
    """Returns what a repaired still was kept of; None: what is stored is the original itself."""
    if kept is None or kept.repairs is None:
        return None
    if decision.file is None or decision.content_hash is None:
        return None
    return decision.file, decision.content_hash
