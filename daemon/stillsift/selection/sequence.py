"""Tells whether pictures that follow each other are the frames of one clip, by what they show.

Meant to be safe, not complete. Photographs of goods show one view, too, and a few of each follow
each other; but from one thing to the next there is a jump as large as between any two. Measured on
43 numbered folders (15 clips at their own rate, 5, 2 and 1/s), 112 photographs of potatoes, their
parts, and sets that were made: goods on a table, scans, forms. A static camera that hardly sees
anything move is overlooked.
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
_NEARER = 0.8
"""Least probability that two neighbours are nearer to each other than two pictures far apart. Of
photographs with two of each thing, 0.75."""
_JUMP, _GRADUAL = 0.3, 2.8
"""Nine of ten neighbours must be nearer than this share of the median of pairs far apart, or than
so many times the median of neighbours: no jumps. With two to five photographs of each thing on a
table these are 0.41 and 3.2 at least; with things so small that they hardly show beside noise (a
thirtieth of the picture), nothing tells them from a camera that sees such things come and go."""
_STEADY, _ONE_SCENE = 0.16, 0.30
"""In a clip neighbours hardly differ, or all of it shows one scene: distance within which nine of
ten neighbours are, or one of ten pairs far apart. Of potatoes that do not jump, 0.27 and 0.37."""
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
    scale = limit / _LIMIT
    share = float(np.mean(np.asarray(near) <= _VIEW * scale))
    if share < _IN_ONE_VIEW:
        return f"{1 - share:.0%} of the neighbours that were looked at show different views"
    least = max(_NEAR, len(pictures) // 4)
    far = [_apart(a, b) for place, a in enumerate(pictures) for b in pictures[place + least :]]
    if not far or _nearer(np.asarray(near), np.asarray(far)) < _NEARER:
        return "neighbours are hardly nearer to each other than others"
    most, usual = (float(np.percentile(near, share)) for share in (90, 50))
    if most > max(_JUMP * float(np.median(far)), _GRADUAL * usual):
        return "they jump from one thing to the next"
    if most > _STEADY * scale and float(np.percentile(far, 10)) > _ONE_SCENE * scale:
        return "they show neither one scene nor small steps"
    return None


def _apart(a: Cells, b: Cells) -> float:
    """Returns the median distance of the cells of two pictures, 0 to about 4."""
    return float(median(cell_distances(a, b.scaled(a.shape))))


def _nearer(near: Floats, far: Floats) -> float:
    """Returns the probability that one of `near` is smaller than one of `far`, ties as half."""
    below = near[:, None] < far[None]
    return float(np.mean(below) + np.mean(near[:, None] == far[None]) / 2)
