"""Tells whether a picture resembles the good or the bad pictures that a person has chosen.

A picture is described by the mean and the spread of each channel over its cells, so that a thing in
a corner counts as well as what fills the picture. Each of these numbers is divided by how much it
differs among the examples of one kind: what varies there tells nothing. A picture is as far from a
folder as from its three nearest prototypes, on average.

Measured by bench/examples.py: beside the cosine of the pooled vectors (and the nearest example)
fewer pairs of a good and a bad picture come out in the wrong order, 5 % of them instead of 7 %. The
vectors of single cells are better for an animal in a wood and worse where light or camera differ. A
covariance instead of one number for each channel was no better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Floats
from ..embedding import Embedding

LEAST, MOST = 5, 500
"""Fewest and most pictures of a folder. Five are the fewest that were measured."""
_NEAREST = 3
"""Prototypes that a distance is the mean of: one alone is chance."""
_PROTOTYPES = 12
"""Most prototypes of a folder, or a quarter of its pictures if that is more. With all pictures
instead, whichever folder has more of the same wins."""
_PASSING = 0.95
"""Share of the pictures of the only folder that resemble the others of it."""
_BURST = 0.2
"""Share of a folder that is left out together with a picture, those nearest to it: examples come
in bursts, and beside its twin any picture resembles its folder."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Holds one example picture."""

    name: str
    """Its path below its folder, for people."""
    measures: Floats
    """(F,) what `measures` gives."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Describes an example that its own folder does not explain."""

    name: str
    good: bool
    """Whether it is one of the good examples."""
    own: float
    """Distance to the other pictures of its folder."""
    other: float | None
    """Distance to the other folder; None: there is none."""
    nearest: str
    """Name of the nearest picture of the other folder, or of its own where that is the only one."""
    nearest_distance: float
    """Distance to that one alone; 0: the same picture."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Describes the pictures of one folder, each judged by all others."""

    pictures: int
    prototypes: int
    passing: float
    """Share of the pictures that are told right, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """Describes how well examples tell good pictures from bad ones, by leaving one out."""

    good: Fit | None
    bad: Fit | None
    auc: float | None
    """Share of the pairs of a good and a bad picture in which the good one resembles the good more:
    1 separates all, 0.5 none. None: there is one folder only."""
    contradictions: tuple[Contradiction, ...]
    """Examples that are told wrong, the worst first."""


class Examples:
    """Holds the examples of one source; it changes no more, so that threads may share it."""

    def __init__(self, good: Sequence[Example] = (), bad: Sequence[Example] = ()) -> None:
        """Takes the examples of each kind; empty: there is no such folder.

        Raises ValueError if both are empty, or one has less than `LEAST`.
        """
        given = [each for each in (good, bad) if each]
        if not given or min(map(len, given)) < LEAST:
            raise ValueError(f"{LEAST} examples at least are needed, good or bad")
        self._factor = _factor([_stacked(each) for each in given])
        self._good = _Folder.of(good, self._factor) if good else None
        self._bad = _Folder.of(bad, self._factor) if bad else None
        self._limit = 0.0
        """Distance, of the only folder, up to which a picture resembles it."""
        if self._good is None or self._bad is None:
            # A limit that is too low loses good pictures where the good ones are shown, and keeps
            # bad ones where the bad ones are.
            only, burst = (self._bad, 0.0) if self._good is None else (self._good, _BURST)
            assert only is not None
            self._limit = float(np.quantile(only.left_out(burst), _PASSING))

    def unlike(self, embedding: Embedding) -> str | None:
        """Tells why a picture does not resemble the examples, with the nearest one's name.

        None: it does.
        """
        good, bad = self._away(embedding)
        if self._margin(good, bad) > 0:
            return None
        if good is None:
            return f"it resembles a bad example: {bad}, limit {self._limit:.2f}"
        if bad is None:
            return f"it resembles no good example: the nearest is {good}, limit {self._limit:.2f}"
        return f"it is nearer to the bad examples ({bad}) than to the good ones ({good})"

    def margin(self, embedding: Embedding) -> float:
        """Returns by how much a picture is nearer to the good examples than to the bad ones.

        Of one kind only, the limit takes the place of the other. It resembles them above 0.
        """
        return self._margin(*self._away(embedding))

    def _away(self, embedding: Embedding) -> tuple[_Away | None, _Away | None]:
        here = measures(embedding) * self._factor
        good = None if self._good is None else self._good.away(here)
        return good, None if self._bad is None else self._bad.away(here)

    def _margin(self, good: _Away | None, bad: _Away | None) -> float:
        own = self._limit if good is None else good.distance
        return (self._limit if bad is None else bad.distance) - own

    def report(self) -> Report:
        """Judges each example by all others, without those most like it, as `_BURST` says."""
        sides = [(True, self._good, self._bad), (False, self._bad, self._good)]
        told: dict[bool, Fit] = {}
        scores: dict[bool, Floats] = {}
        wrong: list[tuple[float, Contradiction]] = []
        for is_good, own, other in sides:
            if own is None:
                continue
            near = own.left_out(_BURST if is_good or other is not None else 0.0)
            limit: Floats | float = self._limit
            if other is not None:
                limit = np.array([other.away(each).distance for each in own.vectors], np.float32)
            scores[is_good] = np.asarray(limit - near, np.float32)
            right = scores[is_good] > 0
            told[is_good] = Fit(len(own.names), len(own.chosen), float(right.mean()))
            for place in np.flatnonzero(~right):
                vector = own.vectors[place]
                across = None if other is None else other.away(vector)
                nearest = own.nearest_to(int(place)) if across is None else across.nearest
                far = None if across is None else across.distance
                name = own.names[place]
                each = Contradiction(name, is_good, float(near[place]), far, *nearest)
                wrong.append((float(scores[is_good][place]), each))
        auc = None
        if len(scores) == 2:
            apart = scores[True][:, None] + scores[False][None]
            auc = float((apart > 0).mean() + (apart == 0).mean() / 2)
        wrong.sort(key=lambda pair: pair[0])
        return Report(told.get(True), told.get(False), auc, tuple(each for _, each in wrong))


@dataclass(frozen=True, slots=True)
class _Away:
    """Says how far a picture is from a folder."""

    distance: float
    """Mean distance to the nearest prototypes; about 1 between examples of one kind."""
    nearest: tuple[str, float]
    """Name of the nearest picture, a prototype or not, and its own distance."""

    def __str__(self) -> str:
        name, distance = self.nearest
        return f"{name}, {distance:.2f} away, {self.distance:.2f} with others"


@dataclass(frozen=True, slots=True, eq=False)
class _Folder:
    """Holds the examples of one kind."""

    names: tuple[str, ...]
    vectors: Floats
    """(n, F) scaled measures."""
    chosen: NDArray[np.intp]
    """Places of the prototypes."""

    @classmethod
    def of(cls, examples: Sequence[Example], factor: Floats) -> _Folder:
        vectors = _stacked(examples) * factor
        chosen = _prototypes(_between(vectors))
        return cls(tuple(each.name for each in examples), vectors, chosen)

    def away(self, vector: Floats) -> _Away:
        """Returns how far a picture is from the prototypes."""
        distances = _distances(self.vectors, vector)
        return _Away(_mean_nearest(distances[self.chosen]), self._nearest(distances))

    def nearest_to(self, place: int) -> tuple[str, float]:
        """Returns the name of the picture most like one of them, and its distance."""
        distances = _distances(self.vectors, self.vectors[place])
        distances[place] = np.inf
        return self._nearest(distances)

    def _nearest(self, distances: Floats) -> tuple[str, float]:
        at = int(np.argmin(distances))
        return self.names[at], float(distances[at])

    def left_out(self, burst: float) -> Floats:
        """Returns (n,) distances of each picture to prototypes of the others.

        `burst`: share of the folder, nearest to it, that does not count either.
        """
        between = _between(self.vectors)
        count = len(between)
        # So many have to remain that a distance is the mean of as many as it is later.
        without = 1 + min(int(np.ceil(burst * count)), count - 1 - _NEAREST)
        found = []
        for place, distances in enumerate(between):
            order = np.argsort(distances, kind="stable")
            order = np.concatenate([[place], order[order != place]])
            others = np.sort(order[without:])
            some = others[_prototypes(between[np.ix_(others, others)])]
            found.append(_mean_nearest(distances[some]))
        return np.array(found, np.float32)


def measures(embedding: Embedding) -> Floats:
    """Returns (F,) mean and spread of each channel over the cells; without a grid, the vector."""
    if embedding.grid is None:
        return embedding.vector
    cells = embedding.grid.reshape(-1, embedding.grid.shape[-1])
    return np.concatenate([cells.mean(0), cells.std(0)])


def in_both(good: Sequence[Example], bad: Sequence[Example]) -> list[tuple[str, str]]:
    """Returns the names of pictures that are among the good examples and among the bad ones."""
    known = {each.measures.tobytes(): each.name for each in bad}
    found = [(each.name, known.get(each.measures.tobytes())) for each in good]
    return [(name, other) for name, other in found if other is not None]


def _stacked(examples: Sequence[Example]) -> Floats:
    return np.stack([each.measures for each in examples])


def _factor(folders: Sequence[Floats]) -> Floats:
    """Returns (F,) factors by which the measures of all examples come to differ alike.

    The mean variance is added, since a few examples may have a channel in common by chance.
    """
    inner = np.concatenate([each - each.mean(0) for each in folders])
    variance = inner.var(0)
    return np.asarray(1 / np.sqrt(variance + max(float(variance.mean()), 1e-12)), np.float32)


def _distances(many: Floats, one: Floats) -> Floats:
    """Returns (n,) distances, for each measure: 1 is the spread of examples of one kind."""
    return np.asarray(np.sqrt(((many - one) ** 2).mean(1)), np.float32)


def _between(vectors: Floats) -> Floats:
    return np.stack([_distances(vectors, each) for each in vectors])


def _mean_nearest(distances: Floats) -> float:
    return float(np.sort(distances)[:_NEAREST].mean())


def _prototypes(between: Floats) -> NDArray[np.intp]:
    """Returns the places of the most different pictures, the first one among them.

    The traversal of `farthest_first`, by distances that are known: one is left out after the other.
    """
    most = max(_PROTOTYPES, len(between) // 4)
    if len(between) <= most:
        return np.arange(len(between))
    chosen, away = [0], between[0].copy()
    while len(chosen) < most:
        chosen.append(int(np.argmax(away)))
        away = np.minimum(away, between[chosen[-1]])
    return np.array(chosen)
