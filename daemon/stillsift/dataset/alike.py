"""Says from which similarity on two pictures of a set count as alike.

The cosine of pooled vectors means little by itself: 0.99 is another potato on one belt, and 0.90
the same photograph in a poor copy. So the limit is taken from the set: it is twice as far as nine
of ten pictures have their nearest neighbour. On 112 photographs of 26 potatoes that is 0.978, where
the groups agree best with the potatoes from 0.98 to 0.99 on.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Floats
from .neighbours import blocks

_SAMPLE = 2000
"""Pictures, evenly taken, whose nearest neighbour is looked for among all."""
_SHARE, _TIMES = 0.9, 2.0
LEAST_ALIKE, MOST_ALIKE = 0.85, 0.99
"""Bounds of the limit. Frames of one shot or view reach 0.85 and those of others do not: 15 clips
and 4 folders fall into their sources as well at 0.80 as at 0.90, and at 0.70 not. Above 0.99, a
change of size or compression alone would part two pictures."""


def similarity_limit(vectors: Floats) -> float:
    """Returns the least cosine of two alike pictures of a set of (n, D) vectors of length 1."""
    count = len(vectors)
    if count < 2:
        return MOST_ALIKE
    some = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.intp))
    highest = np.empty(len(some), np.float32)
    for rows, cosines in blocks(vectors[some], vectors):
        cosines[np.arange(len(cosines)), some[rows]] = -2
        highest[rows] = cosines.max(1)
    usual = float(np.quantile(1 - highest, _SHARE))
    return float(np.clip(1 - _TIMES * usual, LEAST_ALIKE, MOST_ALIKE))
