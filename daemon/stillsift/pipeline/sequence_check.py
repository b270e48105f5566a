"""Looks at a sample of numbered stills: are they the frames of one clip?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from ..embedding import Embedding, EmbedError
from ..frames import Picture, TimeOrigin
from ..selection.cells import Cells
from ..selection.sequence import why_no_sequence
from ..sources.files.still import Unreadable, looked_at, size_at
from ..sources.times import Times

_ONE_SIZE = 0.98
"""Least share of the pictures that have one size."""


_SIZES = "they differ in size"


class SequenceCheck:
    """Decides from pictures whether numbered stills are the frames of one clip."""

    def __init__(
        self, embed: Callable[[Picture], Embedding], limit: float, max_pixels: int
    ) -> None:
        """Takes the embedder with its own limit, and the largest still that is decoded."""
        self._embed = embed
        self._limit = limit
        self._max_pixels = max_pixels

    def __call__(self, blocks: Sequence[Sequence[Path]], stopped: Callable[[], bool]) -> str | None:
        """Returns why these stills are photographs; None: they are frames of one clip.

        Each block holds stills that follow each other. What cannot be read is left out. One still
        is in memory at a time. `stopped` is asked before each; then the answer means nothing.
        """
        sizes: Counter[tuple[int, int]] = Counter()
        for path in chain.from_iterable(blocks):  # cheap, and most folders of photographs differ
            with suppress(Unreadable):
                sizes[size_at(path, self._max_pixels)] += 1
        if _differ(sizes):
            return _SIZES
        sizes.clear()
        found: list[list[Cells]] = []
        for block in blocks:
            found.append([])
            for path in block:
                if stopped():
                    return "stopped"
                try:
                    header, picture = looked_at(path, self._max_pixels)
                    if Times().of_still(path, header.taken, 0).known_by is TimeOrigin.EXIF:
                        return "their EXIF data has times; `exif_timeline: true` takes those"
                    embedding = self._embed(picture)
                except (Unreadable, EmbedError):
                    continue
                if embedding.grid is None:
                    return "the model gives no grid to compare them with"
                sizes[picture.width, picture.height] += 1
                found[-1].append(Cells.of(embedding))
        if _differ(sizes):
            return _SIZES
        return why_no_sequence(found, self._limit)


def _differ(sizes: Counter[tuple[int, int]]) -> bool:
    return bool(sizes) and max(sizes.values()) < _ONE_SIZE * sizes.total()
