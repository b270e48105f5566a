"""Holds the numbers of the rule for time lines. docs/selection.md has the same table.

Distances are those of `cells.cell_distances` with our own embedder; the limit of another embedder
scales them all. The weight of a group of changed cells is the sum of their distances beyond their
limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .sensitivity import FACTORS, Sensitivity


@dataclass(frozen=True, slots=True)
class Numbers:
    """Holds every number by which a frame of a time line is decided."""

    cell: float = 0.40
    """Distance up to which a cell flickers by itself, if nothing else was learned of it."""
    view: float = 0.65
    """Median distance above which a picture shows another view; twice that while something moves:
    a large object with auto exposure is no other view."""
    background: float = 0.60
    """Distance up to which a kept frame shows what stays in a cell."""
    thing: float = 0.90
    """Distance up to which a cell shows the same thing as one elsewhere."""
    followed: float = 1.0
    """The same for cells of the frame before."""
    still: float = 0.30
    """Distance to the frame before up to which a cell has not changed."""

    news: float = 0.5
    """Weight that news must exceed."""
    weak: float = 1.5
    """The same for what has come to rest or crept in, for a known thing that has grown or moved on,
    and for what at most half of the frames of its moment show, as noise does."""
    strong: float = 5.0
    """Weight above which news does not wait until `gap_s` after the last has passed."""
    large: float = 15.0
    """Weight above which something fills a good part of the picture. One look is enough to tell it
    from noise."""
    chances: float = 5.0
    """Factor on what noise weighs by chance; their product is added to what news must exceed."""

    grown: float = 1.6
    """Factor by which a thing must show more than was kept of it to be news again."""
    lit: float = 1.75
    """Factor on the contrast of each kept frame of a view from which on it is news again."""
    sharper: float = 1.67
    """The same factor on the sharpness of each kept frame of a view, if these may be blurred: they
    have less than 0.6 of it, as what is called blurred has."""
    reach: int = 4
    """Cells that a thing moves on at most from one frame to the next."""
    pace: float = 2.0
    """Cells per second that a kept thing has gone at most where nobody followed it: somebody who
    walks through the view in nine seconds."""

    still_s: float = 0.5
    """Seconds after which a thing has come to rest."""
    gap_s: float = 1.0
    """Seconds between two news of one view, at least, unless they are strong."""
    crept_s: float = 2.0
    """Seconds; what has not moved for longer and is new all the same has crept in. What came in
    while news had to wait for `gap_s` has not."""
    refresh_s: float = 5.0
    """Seconds for which something known has to move on before it is news again."""

    @classmethod
    def of(
        cls, cell: float, sensitivity: Sensitivity = Sensitivity.NORMAL, factor: float = 1.0
    ) -> Numbers:
        """Returns the numbers for an embedder whose cells have the limit `cell`.

        `factor`: on all weights, on top of what the sensitivity says.
        """
        normal, asked = cls(), FACTORS[sensitivity]
        scale = cell / normal.cell
        weight = scale * asked.weight * factor

        def times(number: float, by: float) -> float:
            # 0.6 is 1.4999999999999998 times 0.4, and people read these limits.
            return round(number * by, 12)

        return replace(
            normal,
            cell=cell,
            view=times(normal.view, scale),
            background=times(normal.background, scale),
            thing=times(normal.thing, scale),
            followed=times(normal.followed, scale),
            still=times(normal.still, scale),
            news=times(normal.news, weight),
            weak=times(normal.weak, weight),
            strong=times(normal.strong, weight),
            large=times(normal.large, weight),
            gap_s=asked.gap_s,
            refresh_s=asked.refresh_s,
        )
