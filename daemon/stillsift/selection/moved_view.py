"""Tells by how much the view of a camera has moved on since a kept frame: a pan, a tilt, a bump.

A view that has moved by a little shows what the kept frame shows, but for a strip at its border. To
keep one frame for each cell's width of a pan would be three times as many as show all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, Image, Mask
from .cells import Cells
from .thumbnail import THUMBNAIL

MOST_UNSEEN = 1 / 6
"""Share of a picture that no kept frame needs to show while the view moves: a pan by the width of
the picture keeps six."""
_LEAST = 0.5
"""Blocks of the thumbnail by which a view has moved at least: a hundredth of its width."""
_WINDOW = cv2.createHanningWindow(THUMBNAIL, cv2.CV_32F)


@dataclass(frozen=True, slots=True)
class Move:
    """Describes by how much a view has moved since a kept frame."""

    since: str
    """Id of the kept frame."""
    right: float
    """By how much what it shows lies further right now, share of the width."""
    down: float
    """The same, share of the height."""

    @property
    def unseen(self) -> float:
        """Gives the share of the picture that the kept frame does not show."""
        return 1 - max(0.0, 1 - abs(self.right)) * max(0.0, 1 - abs(self.down))

    def arrays(self, name: str) -> Arrays:
        return {name: np.array([self.right, self.down]), f"{name}_since": np.array(self.since)}

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[np.generic]], name: str) -> Move | None:
        """Returns what `arrays` stored under this name; None: nothing."""
        if name not in arrays:
            return None
        right, down = (float(value) for value in arrays[name])
        return cls(str(arrays[f"{name}_since"]), right, down)

    def near(self, other: Move) -> bool:
        """Tells whether two moves since the same frame are the same."""
        across, down = THUMBNAIL
        apart = abs(self.right - other.right) * across, abs(self.down - other.down) * down
        return self.since == other.since and max(apart) <= _LEAST


def move_between(kept: Image, now: Image, since: str, counting: Mask | None) -> Move | None:
    """Returns by how much a view has moved, by the phase correlation of two thumbnails.

    `counting`: (height, width) blocks that count; None: all do. What does not count stands still in
    both, so it is made as bright as the rest is on average.

    None: by too little, or by more than `MOST_UNSEEN`. It finds a move in any two pictures; whether
    these show one view has to be seen from their cells.
    """
    both = [each.astype(np.float32) for each in (kept, now)]
    if counting is not None:
        both = [np.where(counting, each, each[counting].mean()) for each in both]
    (right, down), _ = cv2.phaseCorrelate(both[0], both[1], _WINDOW)
    if max(abs(right), abs(down)) < _LEAST:
        return None
    move = Move(since, right / THUMBNAIL[0], down / THUMBNAIL[1])
    return move if move.unseen <= MOST_UNSEEN else None


def moved(cells: Cells, move: Move, counting: Mask | None) -> tuple[Cells, Mask]:
    """Returns the cells of a picture whose view has moved, and the (rows, columns) it shows.

    `counting`: (rows, columns) cells that count, here and where they come from; None: all do.
    """
    across, down = move.right * cells.columns, move.down * cells.rows
    lower_by, right_by = _shifted(cells.rows, down), _shifted(cells.columns, across)
    grid = np.matmul(right_by, np.tensordot(lower_by, cells.grid(), 1))
    y, x = np.mgrid[0 : cells.rows, 0 : cells.columns]
    shown = (np.abs(x - across - (cells.columns - 1) / 2) <= cells.columns / 2) & (
        np.abs(y - down - (cells.rows - 1) / 2) <= cells.rows / 2
    )
    if counting is not None:
        shown &= counting & (lower_by @ counting @ right_by.T > 0.99)
    return Cells.from_grid(grid), shown


def _shifted(size: int, by: float) -> Floats:
    """Returns the (size, size) weights of values moved on by a part of a place: linear in between,
    the first and the last go on outside."""
    places = np.clip(np.arange(size) - by, 0, size - 1)
    before = np.minimum(places.astype(np.intp), size - 2) if size > 1 else places.astype(np.intp)
    made = np.zeros((size, size), np.float32)
    made[np.arange(size), before] = 1 - (places - before)
    made[np.arange(size), np.minimum(before + 1, size - 1)] += places - before
    return made
