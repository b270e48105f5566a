"""Tells what the limit of one embedder is on the scale of another, from what both saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Floats
from .cells import Cells, cell_distances
from .gallery import GalleryFrame
from .regions import Regions

_MOST_PAIRS = 512
"""Pairs of pictures that are compared: 180 distances each."""
_LEAST_PAIRS = 10
_LEAST_SHARE = 0.02
"""Fewest pairs, and least share of the distances on each side of the limit, that tell anything."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Tells what a limit of one embedder is to the other."""

    share: float
    """Share of the distances up to the limit, 0 to 1."""
    limit: float
    """Distance up to which the other has as many."""
    pairs: int


class CellLimits:
    """Collects distances between pictures that follow each other, by two embedders."""

    def __init__(self, regions: Regions) -> None:
        """Only cells that `regions` counts are compared."""
        self._regions = regions
        self._last: tuple[Cells, Cells] | None = None
        self._distances: tuple[list[Floats], list[Floats]] = ([], [])

    def add(self, old: GalleryFrame, new: GalleryFrame) -> None:
        """Takes the next picture, as either embedder sees it."""
        last, now = self._last, (old.cells, new.cells)
        self._last = now
        if last is None or len(self._distances[0]) >= _MOST_PAIRS:
            return
        # A cell is one part of a picture, or all of it: these two have no scale in common.
        whole = [len(cells.energy) == 1 for cells in now]
        if whole[0] != whole[1] or any(a.shape != b.shape for a, b in zip(last, now, strict=True)):
            return
        for distances, a, b in zip(self._distances, last, now, strict=True):
            distances.append(self._between(a, b))

    def _between(self, a: Cells, b: Cells) -> Floats:
        """Returns the distances of the cells that count, or the cosine distance of the whole."""
        distances = cell_distances(a, b)
        if len(distances) == 1:
            return np.asarray(distances / 2, np.float32)
        counting = self._regions.counting(a.rows, a.columns)
        return distances if counting is None else distances[counting.reshape(-1)]

    def matched(self, limit: float) -> Matched | None:
        """Returns what a limit of the old embedder is to the new one, by its quantile.

        None: too few pictures were compared, or too few of their distances lie on one side of it.
        """
        old, new = self._distances
        if len(old) < _LEAST_PAIRS:
            return None
        share = float(np.mean(np.concatenate(old) <= limit))
        if not _LEAST_SHARE <= share <= 1 - _LEAST_SHARE:
            return None
        return Matched(share, float(np.quantile(np.concatenate(new), share)), len(old))
