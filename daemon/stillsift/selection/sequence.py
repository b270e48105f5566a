"""Tells whether pictures that follow each other are the frames of one clip, by what they show.

Found on 45 numbered folders of clips and 20 sets of photographs: 37 of the clips are recognised and
none of the sets. Cameras that hardly see anything move are not recognised: a rule that finds them
takes scans and photographs of goods for clips, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..arrays import Floats
from .cells import Cells, cell_distances, median

_LIMIT, _VIEW = 0.40, 0.65
"""Limit of the embedder that the distance was found with, and median cell distance up to which two
pictures show one view. The limit of another embedder scales it."""
_IN_ONE_VIEW = 0.9
"""Least share of neighbours that show one view."""
_NEARER = 0.75
"""Least probability that two neighbours are nearer to each other than two pictures far apart."""
_NEAR = 4
"""Fewest places, and a quarter of all at least, between two pictures that are far apart."""


def why_no_sequence(blocks: Sequence[Sequence[Cells]], limit: float) -> str | None:
    """Returns why pictures are not taken for the frames of one clip; None: they are.

    Each block holds pictures that follow each other. `limit` is the embedder's own: the distance
    of a cell that is no noise.
    """
    pictures = [cells for block in blocks for cells in block]
    near = [_apart(a, b) for block in blocks for a, b in pairwise(block)]
    if not near:
        return "too few can be read"
    share = float(np.mean(np.asarray(near) <= _VIEW * limit / _LIMIT))
    if share < _IN_ONE_VIEW:
        return f"{1 - share:.0%} of the neighbours that were looked at show different views"
    least = max(_NEAR, len(pictures) // 4)
    far = [_apart(a, b) for place, a in enumerate(pictures) for b in pictures[place + least :]]
    if not far or _nearer(np.asarray(near), np.asarray(far)) < _NEARER:
        return "neighbours are hardly nearer to each other than others"
    return None


def _apart(a: Cells, b: Cells) -> float:
    """Returns the median distance of the cells of two pictures, 0 to about 4."""
    return float(median(cell_distances(a, b.scaled(a.shape))))


def _nearer(near: Floats, far: Floats) -> float:
    """Returns the probability that one of `near` is smaller than one of `far`, ties as half."""
    below = near[:, None] < far[None]
    return float(np.mean(below) + np.mean(near[:, None] == far[None]) / 2)
