"""Finds the cells in which two pictures differ, by embedding both again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arrays import Floats, Image
from ..embedding import Embedder
from ..frames import ArrayPicture
from ..selection.cells import Cells, cell_distances, coherent
from ..selection.novelty import Novelty


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Holds by how much each cell of a picture differs from the same place of another."""

    share: Floats
    """(rows, columns), row by row: 0 the same, 1 as much as is no noise, and more."""
    model: str


class Differences:
    """Compares pictures, with a model that is opened when the first pair is asked for."""

    def __init__(self, opened: Callable[[], Embedder]) -> None:
        self._opened = opened
        self._embedder: Embedder | None = None

    def between(self, one: Image, other: Image) -> Heat | None:
        """Returns how two (height, width, 3) BGR pictures differ; None: the model has no cells.

        Light is taken off as a line does; what flickers by itself is not, since only a line knows
        that. Raises EmbedError and ModelError.
        """
        if self._embedder is None:
            self._embedder = self._opened()
        spec = self._embedder.model.spec
        ours, theirs = (self._embedder(ArrayPicture(pixels)) for pixels in (one, other))
        if ours.grid is None or theirs.grid is None:
            return None
        cells = Cells.of(ours)
        apart = cell_distances(cells, Cells.of(theirs).scaled(cells.shape))[None]
        apart = np.maximum(apart - Novelty(spec.cell_limit).light(apart, cells), 0)
        share = coherent(apart.reshape(cells.rows, cells.columns)) / spec.cell_limit
        return Heat(share, spec.name)
