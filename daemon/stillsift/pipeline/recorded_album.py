"""Reads from the ledger which photographs a source has kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..arrays import Floats, Image
from ..ledger import LedgerReader
from ..selection import Album, GalleryFrame

_REMEMBERED = 64
"""Photographs that stay in memory, 0.1 MB each; the next picture is mostly near the same ones."""


class RecordedAlbum:
    """Searches the photographs of a source that are recorded, also those added meanwhile."""

    def __init__(
        self, ledger: LedgerReader, source: str, model: str, is_there: Callable[[str], bool]
    ) -> None:
        """`model` has made the vectors; `is_there` tells whether a kept frame is in the store."""
        self._ledger = ledger
        self._source = source
        self._model = model
        self._is_there = is_there
        self._album = Album((), self._read)
        self._seq = 0
        self._known: OrderedDict[str, GalleryFrame] = OrderedDict()

    def opened(self) -> Album:
        """Returns the source's own album, which goes on from what is recorded.

        Raises LedgerError.
        """
        return Album(self._since(0), self._own)

    def like(self, vector: Floats, page: Image | None) -> list[GalleryFrame]:
        """Returns the photographs nearest to a vector and a page, each with its `by`.

        Raises LedgerError.
        """
        for id_, added, its_page in self._since(self._seq):
            self._album.remember(id_, added, its_page)
        return self._album.like(vector, page)

    def _since(self, seq: int) -> list[tuple[str, Floats, Image | None]]:
        rows = self._ledger.album(self._source, self._model, seq)
        self._seq = rows[-1].seq if rows else seq
        return [
            (
                row.id,
                np.frombuffer(row.vector, "<f4").astype(np.float32),
                None if row.page is None else np.frombuffer(row.page, np.uint8),
            )
            for row in rows
        ]

    def _own(self, id_: str) -> GalleryFrame | None:
        if not self._is_there(id_):
            return None
        known = self._known.get(id_)
        if known is None:
            data = self._ledger.photograph(self._source, id_)
            if data is None:
                return None
            known = GalleryFrame.from_bytes(id_, data)
        self._known[id_] = known
        self._known.move_to_end(id_)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    def _read(self, id_: str) -> GalleryFrame | None:
        kept = self._own(id_)
        return None if kept is None else replace(kept, by=self._source)
