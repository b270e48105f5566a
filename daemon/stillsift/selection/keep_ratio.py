"""Moves the weight limits of news until about a wanted share of the frames is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays

_STEP = 0.25
"""Amount by which one kept frame raises the logarithm of the factor."""

_LOWEST_FACTOR, _HIGHEST_FACTOR = 1 / 4, 256.0
"""With the highest factor, only another view is news. With 16 instead, labelled clips of cuts and
traffic could not be held to less than 4 %."""


class KeepRatio:
    """Finds the factor on the weight limits of news at which about a share of the frames is kept.

    Uses stochastic approximation (Robbins and Monro, 1951), with a constant step since what a
    camera sees changes: every frame moves the logarithm of the factor by step * (kept - ratio).

    Measured on the labelled clips, four times over (4914 frames at 5/s): asked for 5, 1 and 0.2 %,
    the first tenth kept 6.5, 4.5 and 4.1 %, the second 4.5, 1.4 and 0.8 %, and the last half 5.0,
    1.1 and 0.16 %. From there on, eight minutes kept between 3 and 7, between 0 and 1.6, and up to
    0.4 %.
    """

    def __init__(self, ratio: float | None) -> None:
        self._ratio = ratio
        self._log = 0.0

    @property
    def factor(self) -> float:
        """Gives the factor in force now; above 1, more must be new."""
        return math.exp(self._log)

    @property
    def on(self) -> bool:
        """Tells whether a share is wanted at all."""
        return self._ratio is not None

    def decided(self, *, kept: int) -> None:
        """Learns from a decided frame that was kept, or would have been if it were new enough.

        `kept`: by how many it has changed the number of kept frames: 1, or 0 if it was dropped;
        less if it has taken the places of others.
        """
        if self._ratio is not None:
            self._move(_STEP * (kept - self._ratio))

    def give_back(self, kept: int = 1) -> None:
        """Takes back the step of a kept frame that could not be written."""
        if self._ratio is not None:
            self._move(-_STEP * kept)

    def _move(self, by: float) -> None:
        log = self._log + by
        self._log = min(max(log, math.log(_LOWEST_FACTOR)), math.log(_HIGHEST_FACTOR))

    def arrays(self) -> Arrays:
        return {} if self._ratio is None else {"keep_ratio_log": np.array(self._log)}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        if self._ratio is not None and "keep_ratio_log" in arrays:
            self._log = float(arrays["keep_ratio_log"])
