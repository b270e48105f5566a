"""Reads the pictures of kept frames again, so that photographs can be compared with them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path

from ..decisions import Decision, Outcome
from ..frames import ArrayPicture
from ..ledger import LedgerReader
from ..ledger.records import KeptFile
from ..sources.files import DecodeError, picture_of

log = logging.getLogger(__name__)

_MOST_NOTED = 1024
"""Frames whose files are known without the ledger: more than wait for their record."""


class KeptPictures:
    """Knows the files of kept frames: in the store, or the originals in a dry run."""

    def __init__(self, ledger: LedgerReader, store: Path | None, max_pixels: int) -> None:
        """`store`: root of the store; None: a dry run."""
        self._ledger = ledger
        self._store = store
        self._max_pixels = max_pixels
        self._noted: OrderedDict[str, Path] = OrderedDict()

    def note(self, decision: Decision, kept: KeptFile | None) -> None:
        """Notes where a frame is kept, before that is recorded."""
        if decision.outcome is not Outcome.KEPT:
            return
        path = self._path(decision, kept)
        if path is not None:
            self._noted[decision.id] = path
        while len(self._noted) > _MOST_NOTED:
            self._noted.popitem(last=False)

    def picture(self, id_: str) -> ArrayPicture | None:
        """Returns the picture of a kept frame; None: it cannot be read.

        A kept still is its original byte for byte, so this is the very picture that was offered. A
        frame of a clip is read as it was stored; in a dry run it cannot be.
        """
        path = self._noted.get(id_) or self._recorded(id_)
        if path is None:
            return None
        try:
            return picture_of(path.read_bytes(), path, self._max_pixels)
        except (OSError, DecodeError) as error:
            log.debug("%s: not compared by its pixels: %s", path, error)
            return None

    def _recorded(self, id_: str) -> Path | None:
        if self._store is not None:
            kept = self._ledger.kept_file(id_)
            return None if kept is None else self._store / kept.path
        record = self._ledger.decision(id_)
        return None if record is None else self._path(record.decision, None)

    def _path(self, decision: Decision, kept: KeptFile | None) -> Path | None:
        if self._store is not None:
            return None if kept is None else self._store / kept.path
        # A frame of a clip is no file of its own.
        return decision.file if decision.content_hash is not None else None
