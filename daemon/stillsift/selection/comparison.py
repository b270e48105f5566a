"""Describes what is found in one frame: whether it shows news, of what kind, and how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ..arrays import Floats, Labels, Mask
from ..decisions import Reason
from .cells import Cells
from .moved_view import Move


class News(StrEnum):
    """Names the kinds of new things that a frame may show."""

    VIEW = "view"
    """Another view of the camera, another shot, or the first frame."""
    ARRIVAL = "arrival"
    """Something that follows no kept object and looks like nothing that was kept in this event."""
    SETTLED = "settled"
    """Something that moved and came to rest: a parked car, the end of a dissolve."""
    GROWN = "grown"
    """Something that was kept as it came in and now shows more than 1.6 times as much."""
    REFRESH = "refresh"
    """Something that has moved on and changed for some seconds since the last frame was kept, or a
    picture of which, for as long, one kept frame has shown this part and one that."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Describes one frame, compared with everything that was known when it was looked at."""

    cells: Cells
    news: News | None = None
    weight: float = 0.0
    """Weight of the news, or of the largest thing that weighs too little to be news."""
    limit: float = 0.0
    """Weight that `weight` had to exceed."""
    shown: float = 0.0
    """How much of the change this frame shows; used to compare frames of one moment."""
    nearest: int | None = None
    """Index of the nearest frame in the gallery; None: the gallery was empty."""
    distance: float | None = None
    """Distance to the nearest, compared directly: 0 if nothing differs by more than its noise, 1 at
    the limit. None: the gallery was empty."""
    explained_by: Reason | None = None
    """What explains the picture if it shows no news and differs from the nearest by more than the
    limit: `SAME_BACKGROUND`, `SAME_OBJECT`, or `FLEETING` for a colour. None: nothing has to."""
    changed: Mask | None = None
    """(rows, columns) cells beyond their limit. None: no kept frame or no grid to compare."""
    unexplained: Mask | None = None
    """(rows, columns) changed cells that neither follow nor resemble something kept."""
    things: Labels | None = None
    """(rows, columns) numbers of the kept things that changed cells belong to; 0: to none. None: as
    `changed`."""
    stray: float = 0.0
    """Weight of the largest change that is neither explained nor carries on from the frame before,
    as noise does not."""
    distances: Floats | None = None
    """(rows, columns) distances to the nearest, corrected for light and for neighbour cells."""
    move: Move | None = None
    """By how much the view has moved since the nearest. None: it has not, or the whole picture is
    compared with it."""
    unsettled: bool = False
    """Whether a cell has moved within the last half second. The same picture can be news when it
    has come to rest."""
    from_previous: Floats | None = None
    """(cells,) distances to `Scene.previous`. None: there was none of this shape."""
    cut: bool = True
    """Whether `Scene.previous` showed another view, or there was none of this shape."""
    why: str = ""

    @property
    def repeat(self) -> Reason:
        """Gives the reason for which this frame is dropped if it shows no news."""
        return self.explained_by or Reason.NEAR_DUPLICATE

    @property
    def stirs(self) -> bool:
        """Tells whether the same picture can become news with time."""
        if self.changed is None or self.move is not None or self.unsettled:
            return True
        return self.explained_by is not None or bool(self.changed.any())

    def at_rest(self) -> Comparison | None:
        """Returns what is found in the next frame if it shows the same.

        None: this frame shows news, or `changed` is None.
        """
        if self.news is not None or self.changed is None:
            return None
        return replace(self, cut=False, from_previous=np.zeros_like(self.cells.energy))

    @property
    def other_view(self) -> bool:
        """Tells whether the whole picture is news, instead of something in it."""
        return self.news is News.VIEW or (self.news is not None and self.cut)

    @property
    def local(self) -> bool:
        """Tells whether the news is something in the view, instead of the view."""
        return self.news not in (None, News.VIEW)
