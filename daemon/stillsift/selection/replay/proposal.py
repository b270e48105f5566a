"""Finds the limits for a wanted number of kept frames, or for what people said of decisions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..limits import Limits
from ..sensitivity import Sensitivity
from .measures import Measures
from .what_if import WhatIf, what_if

FACTORS_TRIED = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Values of `Limits.asked` that are tried: each about 1.4 times the one before. Beyond them the
next sensitivity begins."""
FEW = 10
"""Corrections below which limits are not chosen by them: where none of so many is contradicted, one
in four of all may still be (Clopper-Pearson)."""


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """Describes what would be kept with one pair of limits."""

    sensitivity: Sensitivity
    asked: float
    found: WhatIf


@dataclass(frozen=True, slots=True)
class Wish:
    """Says what a person wants of one frame or of two."""

    ids: tuple[str, ...]
    kept: bool
    """Whether all of them are to be kept, instead of not all."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Describes the limits that contradict the fewest wishes."""

    best: Tried
    wishes: int
    """Number of wishes about frames that are still known."""
    now: int
    """Number of those that the limits of today contradict."""
    left: int
    """The same of the best limits."""
    left_out: int
    """Number of wishes that are contradicted by the limits chosen without that one."""


def tried(
    measures: Measures, before: Limits, today: Limits, pairs: Iterable[tuple[Sensitivity, float]]
) -> list[Tried]:
    """Returns what would be kept with each pair of a sensitivity and a factor on the limit.

    `before`: the limits with which the decisions were made; all else is as in `today`.
    """
    return [
        Tried(word, asked, what_if(measures, before, replace(today, sensitivity=word, asked=asked)))
        for word, asked in pairs
    ]


def nearest(some: Sequence[Tried], wanted: float, today: Limits) -> Tried:
    """Returns the limits with about as many kept frames as are wanted.

    Of several whose number is as near, within what it may be off, those most like today's.
    """
    least = min(_off(each, wanted) for each in some)
    near = [each for each in some if _off(each, wanted) <= least]
    return min(near, key=lambda each: _steps(each, today))


def fitted(
    measures: Measures, some: Sequence[Tried], now: WhatIf, wishes: Sequence[Wish], today: Limits
) -> Fitted | None:
    """Returns the limits that contradict the fewest wishes; None: no frame of theirs is known.

    Of several, those most like today's. `now`: what is kept with today's.
    """
    places = {id_: place for place, id_ in enumerate(measures.ids)}
    known = [wish for wish in wishes if all(id_ in places for id_ in wish.ids)]
    if not known:
        return None
    some = sorted(some, key=lambda each: _steps(each, today))
    wait_ns = round(today.max_wait_s * 1e9)
    against = np.array(
        [_contradicted(measures, places, each.found, known, wait_ns) for each in some]
    )
    total = against.sum(1)
    best = int(total.argmin())
    others = [int((total - against[:, number]).argmin()) for number in range(len(known))]
    return Fitted(
        some[best],
        len(known),
        int(_contradicted(measures, places, now, known, wait_ns).sum()),
        int(total[best]),
        int(sum(against[chosen, number] for number, chosen in enumerate(others))),
    )


def _off(each: Tried, wanted: float) -> float:
    """Returns by how much a number is off beyond its own error, as a logarithm."""
    count, error = each.found.count, each.found.error
    beyond = max(abs(count - wanted) - error / 2, 0.0)
    return math.log1p(beyond / max(wanted, 1.0))


def _steps(each: Tried, today: Limits) -> float:
    """Returns how far limits are from today's: a step for each word, and for each doubling."""
    words = list(Sensitivity)
    apart = abs(words.index(each.sensitivity) - words.index(today.sensitivity))
    return apart + abs(math.log2(each.asked / today.asked))


def _contradicted(
    measures: Measures,
    places: dict[str, int],
    found: WhatIf,
    wishes: Sequence[Wish],
    wait_ns: int,
) -> NDArray[np.bool_]:
    """Tells which wishes are not met.

    A frame that was dropped counts as kept where another one of its moment would be.
    """
    added = np.flatnonzero(found.kept & ~measures.kept & measures.timed)
    added_ns = np.sort(measures.at_ns[added])

    def shown(id_: str) -> bool:
        place = places[id_]
        if found.kept[place] or measures.kept[place] or not measures.timed[place]:
            return bool(found.kept[place])
        at_ns = measures.at_ns[place]
        first = int(np.searchsorted(added_ns, at_ns - wait_ns))
        return first < len(added_ns) and bool(added_ns[first] <= at_ns + wait_ns)

    return np.array([all(map(shown, wish.ids)) != wish.kept for wish in wishes], np.bool_)
