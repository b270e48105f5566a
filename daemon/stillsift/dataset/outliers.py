"""Finds the odd pictures of a set: those that are farther from all others than is usual there.

The score follows the local outlier factor (Breunig and others, 2000) in its simple form: how far a
picture has its nearest ones, over how far these have theirs. Where that is less than what is usual
in the set, the usual counts: else a frame of a still camera would be odd among copies of itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Floats
from .neighbours import nearest

NEIGHBOURS = 5
"""Pictures that are looked at around each: up to four odd ones of a kind are still odd."""
ODD = 2.0
"""Score from which a picture is called odd."""
_LEAST = 0.01
"""Least distance (1 - cosine) that counts as usual: another size or compression makes as much."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """Describes how far one picture is from the others."""

    place: int
    score: float
    """Times as far as usual: 1 and below is ordinary, `ODD` and more is odd."""
    nearest: int
    """Place of the most similar other picture."""
    similarity: float
    """Cosine to that one, -1 to 1."""
    around: float
    """Mean cosine to the `NEIGHBOURS` most similar ones."""
    usual: float
    """The cosine that was expected instead: the mean of what these have, or of the set."""


def outliers_of(vectors: Floats) -> list[Outlier]:
    """Scores each of the (n, D) vectors of length 1, the oddest first; none of fewer than three.

    Raises SetError where there are too many to compare without the index.
    """
    count = len(vectors)
    if count < 3:
        return []
    alone = np.arange(count)
    found = nearest(vectors, vectors, min(NEIGHBOURS, count - 1), (alone, alone))
    there = found.places >= 0
    weight = there / np.maximum(1, there.sum(1, keepdims=True))
    apart = ((1 - found.similarity) * weight).sum(1)
    around = (apart[found.places] * weight).sum(1)
    usual = np.maximum(np.maximum(around, np.median(apart)), _LEAST)
    score = apart / usual
    return [
        Outlier(
            int(place),
            float(score[place]),
            int(found.places[place, 0]),
            float(found.similarity[place, 0]),
            float(1 - apart[place]),
            float(1 - usual[place]),
        )
        for place in np.argsort(-score, kind="stable")
    ]
