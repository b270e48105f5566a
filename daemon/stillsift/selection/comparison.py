"""What is found in one frame: whether it shows anything new, of what kind, and by how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ..arrays import Floats, Mask
from .cells import Cells


class News(StrEnum):
    """What kind of new thing a frame shows."""

    VIEW = "view"
    """Another view of the camera, another shot, or the first frame of all."""
    ARRIVAL = "arrival"
    """Something that follows nothing and looks like nothing kept in this event."""
    SETTLED = "settled"
    """Something that moved and came to rest: the parked car, the end of a dissolve."""
    GROWN = "grown"
    """Something that was kept as it came in, and shows twice as much by now."""
    REFRESH = "refresh"
    """Something that has moved on and changed for seconds since the last frame was kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One frame against everything known when it was looked at."""

    cells: Cells
    news: News | None = None
    weight: float = 0.0
    """Of the news, or of the largest thing that falls short of being news."""
    limit: float = 0.0
    """What `weight` had to exceed."""
    shown: float = 0.0
    """How much of the change this frame shows; compares frames of one moment."""
    nearest: int | None = None
    """Index in the gallery; None: it was empty."""
    changed: Mask | None = None
    """(rows, columns) cells beyond their limit. None: there was nothing to compare with."""
    unexplained: Mask | None = None
    """(rows, columns) those of them that are news."""
    distances: Floats | None = None
    """(rows, columns) to the nearest, after light and neighbours."""
    from_previous: Floats | None = None
    """(cells,) distance to the frame before. None: there was none of this shape."""
    cut: bool = True
    """Whether the frame before showed another view."""
    why: str = ""

    @property
    def stirs(self) -> bool:
        """Whether anything changed, be it news or not."""
        return self.changed is None or bool(self.changed.any())

    def at_rest(self) -> Comparison | None:
        """What is found in the next frame if it shows the same; None: this one shows news."""
        if self.news is not None or self.changed is None:
            return None
        return replace(self, cut=False, from_previous=np.zeros_like(self.cells.energy))

    @property
    def other_view(self) -> bool:
        """Whether the whole picture is news, and not something in it."""
        return self.news is News.VIEW or (self.news is not None and self.cut)

    @property
    def local(self) -> bool:
        """Whether the news is something in the view, and not the view."""
        return self.news not in (None, News.VIEW)
