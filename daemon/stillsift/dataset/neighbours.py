"""Finds the nearest pictures by their vectors: exactly, and beyond some 20,000 by an index.

An exact search costs the product of both numbers: 1.3 s of CPU for all of 10,000 pictures among
each other, 3.8 s for 20,000, with vectors of 112 numbers. With the index 100,000 take 31 s of CPU,
and it finds 97 % of the five nearest.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats
from .pictures import SetError

EXACT = 20_000
"""Pictures up to which all are compared with all."""
_CELLS = 1 << 24
"""Similarities that are in memory at once, 64 MB."""
_FURTHER = 4
"""Times as many neighbours as are wanted that the index is asked for where some do not count."""

Codes = NDArray[np.intp]
"""(n,) numbers; two pictures with the same one are not neighbours."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Holds the nearest pictures of each picture, nearest first."""

    places: NDArray[np.intp]
    """(n, k) their places; -1: there are no more."""
    similarity: Floats
    """(n, k) cosine to each, -1 to 1; -2 where there is none."""


def nearest(
    vectors: Floats, among: Floats, most: int, apart: tuple[Codes, Codes] | None = None
) -> Neighbours:
    """Finds the `most` nearest of the (m, D) vectors `among` for each of the (n, D) `vectors`.

    `apart`: codes of both; those with the same code do not count. Vectors have length 1. Raises
    SetError where the index is needed and is not installed.
    """
    found = min(most, len(among))
    if not found or not len(vectors):
        return Neighbours(
            np.full((len(vectors), 0), -1, np.intp), np.zeros((len(vectors), 0), np.float32)
        )
    large = len(vectors) > EXACT or len(among) > EXACT
    search = _by_index if large and len(vectors) * len(among) > EXACT**2 else _exactly
    return search(vectors, among, found, apart)


def _exactly(
    vectors: Floats, among: Floats, most: int, apart: tuple[Codes, Codes] | None
) -> Neighbours:
    places = np.empty((len(vectors), most), np.intp)
    similarity = np.empty((len(vectors), most), np.float32)
    for rows, cosines in blocks(vectors, among):
        if apart is not None:
            cosines[apart[0][rows][:, None] == apart[1][None]] = -2
        best = np.argpartition(cosines, -most, axis=1)[:, -most:]
        least = np.take_along_axis(cosines, best, 1).min(axis=1, keepdims=True)
        # Of equal ones at the end any may have come, others for another `most`.
        several = np.count_nonzero(cosines >= least, axis=1) > most
        for row in np.flatnonzero(several & (least[:, 0] > -2)):
            above = np.flatnonzero(cosines[row] > least[row])
            equal = np.flatnonzero(cosines[row] == least[row])
            best[row] = np.concatenate([above, equal])[:most]
        places[rows], similarity[rows] = _in_order(best, np.take_along_axis(cosines, best, 1))
    return Neighbours(np.where(similarity > -2, places, -1), similarity)


def blocks(vectors: Floats, among: Floats) -> Iterator[tuple[slice, Floats]]:
    """Yields the cosines of some vectors at a time to all of `among`, as (rows, (r, m) array)."""
    step = max(1, _CELLS // max(1, len(among)))
    for begin in range(0, len(vectors), step):
        rows = slice(begin, begin + step)
        yield rows, np.asarray(vectors[rows] @ among.T, np.float32)


def _in_order(places: NDArray[np.intp], cosines: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Sorts (n, k) places by cosine, highest first; of equal ones, the first place."""
    order = np.lexsort((places, -cosines), axis=1)
    return np.take_along_axis(places, order, 1), np.take_along_axis(cosines, order, 1)


def _by_index(
    vectors: Floats, among: Floats, most: int, apart: tuple[Codes, Codes] | None
) -> Neighbours:
    index = _index_of(among)
    wanted = most if apart is None else min(len(among), _FURTHER * most)
    found = index.search(vectors, wanted)
    keys = np.asarray(found.keys, np.intp).reshape(len(vectors), wanted)
    counts = np.asarray(found.counts).reshape(-1)
    keys[np.arange(wanted) >= counts[:, None]] = 0
    places = np.empty((len(vectors), most), np.intp)
    similarity = np.empty((len(vectors), most), np.float32)
    step = max(1, _CELLS // (wanted * vectors.shape[1]))
    for begin in range(0, len(vectors), step):
        rows = slice(begin, begin + step)
        some = keys[rows]
        # The index holds half precision and rounds; what it has found is compared exactly.
        cosines = np.einsum("nd,nkd->nk", vectors[rows], among[some], optimize=True)
        cosines[np.arange(wanted) >= counts[rows, None]] = -2
        if apart is not None:
            cosines[apart[0][rows][:, None] == apart[1][some]] = -2
        ordered = _in_order(some, np.asarray(cosines, np.float32))
        places[rows], similarity[rows] = ordered[0][:, :most], ordered[1][:, :most]
    return Neighbours(np.where(similarity > -2, places, -1), similarity)


def _index_of(among: Floats) -> Any:
    """Makes an index (HNSW: Malkov and Yashunin, 2018). Raises SetError."""
    if importlib.util.find_spec("usearch") is None:
        raise SetError(
            f"{len(among):,} pictures are too many to compare all with all (up to {EXACT:,} are); "
            "install the index: pip install 'stillsift[set]'"
        )
    library: Any = importlib.import_module("usearch.index")
    index = library.Index(ndim=among.shape[1], metric="ip", dtype="f16")
    index.add(np.arange(len(among)), among)
    return index
