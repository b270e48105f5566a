"""Puts pictures that look alike into groups, each shown by one of them.

Pictures come in the order of how many are alike to them. Each begins a group and takes what is like
it, unless one before it has taken it (greedy cover). So the members of a group are near one
picture, however many there are between two of them: frames of a slow pan chain up otherwise. The
work grows with the number of pictures times that of groups, and no neighbour is stored.

Measured as the adjusted Rand index with 26 potatoes on 112 photographs, at the best limit of each:
0.58 so, 0.60 by average linkage, 0.64 by HDBSCAN, 0.63 by DBSCAN, which makes one group of all from
0.97 down; with the sources of 625 frames and photographs 0.89, 0.88, 0.86 and 0.89.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats
from .neighbours import EXACT, blocks

_AT_ONCE = 512
"""Pictures that are compared with all groups in one step."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Holds the places of pictures that look alike."""

    members: NDArray[np.intp]
    """(m,) places; the first is the medoid, then come those that are most similar to it."""
    similarity: Floats
    """(m,) cosine of each member to the medoid, -1 to 1."""

    @property
    def medoid(self) -> int:
        """Gives the place of the member with the highest similarity to all, added up."""
        return int(self.members[0])


def groups_of(vectors: Floats, limit: float) -> list[Group]:
    """Returns groups of the (n, D) vectors of length 1, the largest first.

    Each picture is in one group. `limit`: least cosine to the picture that a group began with.
    """
    if not len(vectors):
        return []
    leaders = _leaders(vectors, limit)
    nearest = np.empty(len(vectors), np.intp)
    for rows, cosines in blocks(vectors, vectors[leaders]):
        nearest[rows] = cosines.argmax(1)
    order = np.argsort(nearest, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(nearest[order])) + 1)
    made = [_group(vectors, part) for part in parts]
    return sorted(made, key=lambda group: (-len(group.members), group.medoid))


def _leaders(vectors: Floats, limit: float) -> NDArray[np.intp]:
    """Returns the places of pictures of which no two are alike, and to which all others are."""
    waiting = np.argsort(-_alike(vectors, limit), kind="stable")
    found: list[int] = []
    leading = np.zeros((_AT_ONCE, vectors.shape[1]), np.float32)
    for begin in range(0, len(waiting), _AT_ONCE):
        places = waiting[begin : begin + _AT_ONCE]
        some = vectors[places]
        alone = np.ones(len(places), np.bool_)
        if found:
            alone = (some @ leading[: len(found)].T).max(1) < limit
        each_other = some @ some.T
        while alone.any():
            place = int(np.argmax(alone))
            if len(found) == len(leading):
                leading = np.concatenate([leading, np.zeros_like(leading)])
            leading[len(found)] = some[place]
            found.append(int(places[place]))
            alone &= each_other[place] < limit
            alone[place] = False
    return np.asarray(found, np.intp)


def _alike(vectors: Floats, limit: float) -> NDArray[np.intp]:
    """Returns (n,) how many pictures are alike to each; of many, of an even sample of all."""
    count = len(vectors)
    sample = vectors[np.unique(np.linspace(0, count - 1, min(count, EXACT)).astype(np.intp))]
    found = np.empty(count, np.intp)
    for rows, cosines in blocks(vectors, sample):
        found[rows] = (cosines >= limit).sum(1)
    return found


def _group(vectors: Floats, members: NDArray[np.intp]) -> Group:
    """Makes a group; its medoid is the member nearest to the sum of all, as cosines add up."""
    some = vectors[members]
    medoid = int(np.argmax(some @ some.sum(0)))
    similarity = np.asarray(some @ some[medoid], np.float32)
    similarity[medoid] = 2  # first in any case, also among copies
    order = np.argsort(-similarity, kind="stable")
    similarity[medoid] = 1
    return Group(members[order], np.clip(similarity[order], -1, 1))
