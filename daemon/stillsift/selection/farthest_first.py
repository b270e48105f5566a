"""Chooses those of many pictures that are most different from each other.

Farthest-first traversal (Gonzalez, "Clustering to minimize the maximum intercluster distance",
1985): each next choice is the picture farthest from all chosen ones. Every picture then lies at
most twice as far from a chosen one as with the best choice of as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats

_AT_ONCE = 256
"""Chosen pictures that all others are compared with in one step."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Holds which of the pictures were chosen, and how near the others are to them."""

    chosen: list[int]
    """Their places, in the order in which they were chosen."""
    nearest: NDArray[np.intp]
    """(n,) place of the chosen picture that each is nearest to; of a chosen one, its own."""
    cosine: Floats
    """(n,) cosine to that one, -1 to 1."""


def farthest_first(vectors: Floats, most: int, fixed: Sequence[int] = ()) -> Choice:
    """Chooses `most` of the (n, D) vectors of length 1, or all if there are no more.

    Distances are cosine distances. Those at the places `fixed` are chosen in any case, and count;
    without them the first picture is. Of several that are as far, the first is chosen. What is
    chosen out of fewer pictures is the same, as long as all that are chosen are among them: so it
    makes no difference to begin again half-way. Raises ValueError if `most` is below 1.
    """
    if most < 1:
        raise ValueError(f"at least one picture is chosen, not {most}")
    count = len(vectors)
    chosen = list(fixed)
    nearest = np.zeros(count, np.intp)
    cosine = np.full(count, -np.inf, np.float32)
    open_ = np.ones(count, np.bool_)
    open_[chosen] = False

    def measure(places: Sequence[int]) -> None:
        """Compares the open ones with these, a few hundred at once."""
        some = np.flatnonzero(open_)
        for begin in range(0, len(places), _AT_ONCE):
            part = np.asarray(places[begin : begin + _AT_ONCE], np.intp)
            alike = vectors[some] @ vectors[part].T
            best = alike.argmax(1)
            highest = alike[np.arange(len(some)), best]
            nearer = highest > cosine[some]
            nearest[some[nearer]], cosine[some[nearer]] = part[best[nearer]], highest[nearer]

    measure(chosen)
    while len(chosen) < min(most, count) and open_.any():
        place = 0 if not chosen else int(np.argmin(np.where(open_, cosine, np.inf)))
        chosen.append(place)
        open_[place] = False
        measure([place])
    nearest[chosen], cosine[chosen] = chosen, 1.0
    return Choice(chosen, nearest, np.clip(cosine, -1, 1))
