"""Learns how much each cell of a source flickers by itself: noise, rain, an overlay clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, floats, optional_floats
from ..frames import SPACING_S
from .cells import median, percentile

_QUIETEST, _MARGIN = 0.10, 3.0
"""The lowest limit falls to `_QUIETEST` + `_MARGIN` times what nine of ten cells flicker by at
most. Measured: slides and screens flicker by 0 to .005, cameras by .03 to 1.3."""


class NoiseFloor:
    """Remembers the recent distances of every cell, and derives its noise limit from them.

    The limit is the median + 4 robust standard deviations of the cell's last 64 distances: little
    on a quiet wall, much where a tree sways or a clock runs.
    """

    _WINDOW = 64
    _WARM_UP = 12
    _DEVIATIONS = 4.0
    _HIGHEST = 1.10
    _START = 0.60
    _WEIGHTS = 128
    _USUAL = 0.90
    """Share of the recent frames that weigh no more than what `chance` returns."""
    _RENEW_EVERY = 5
    """Frames after which the limits are computed anew: the medians cost half a millisecond."""

    def __init__(self, lowest: float) -> None:
        """Scales the limits by `lowest`, the limit of a cell that never flickers."""
        self.lowest = lowest
        self.highest = self._HIGHEST * lowest / 0.40
        self._start = self._START * lowest / 0.40
        self._recent: deque[Floats] = deque(maxlen=self._WINDOW)
        self._weights: deque[float] = deque(maxlen=self._WEIGHTS)
        self._last_s = -np.inf
        self._unseen = 0
        self._limits: Floats | None = None

    def restart(self) -> None:
        """Begins another scene. The limit to start with stays, since it belongs to the source."""
        self._recent.clear()
        self._weights.clear()
        self._limits = None
        self._unseen = 0

    def due(self, at_s: float) -> bool:
        """Tells whether a frame of this time is one to learn from: the next after `SPACING_S`."""
        return not 0 <= at_s - self._last_s < SPACING_S

    def learn(self, distances: Floats, weight: float | None, at_s: float) -> None:
        """Learns (rows, columns) distances to the nearest kept frame, and the `weight` of a frame.

        `weight` is None if something happens in the frame, which is no noise. Call it where the
        frame is `due`.
        """
        if self._recent and self._recent[-1].shape != distances.shape:
            self.restart()
        self._recent.append(distances)
        if weight is not None:
            self._weights.append(weight)
        self._last_s = at_s
        self._unseen += 1
        if self._unseen >= self._RENEW_EVERY:
            self._limits, self._unseen = None, 0

    def limits(self, rows: int, columns: int) -> Floats:
        """Returns the (rows, columns) distances that cells must exceed to count as changed."""
        usable = len(self._recent) >= self._WARM_UP
        if not usable or self._recent[-1].shape != (rows, columns):
            return np.full((rows, columns), self._start, np.float32)
        if self._limits is None:
            recent = np.stack(self._recent)
            middle = median(np.moveaxis(recent, 0, -1))
            spread = median(np.moveaxis(np.abs(recent - middle), 0, -1)) * 1.4826
            raw = middle + self._DEVIATIONS * spread
            scale = self.lowest / 0.40
            quiet = _QUIETEST * scale + _MARGIN * percentile(raw, 90)
            lowest = min(quiet, self.lowest)
            own = np.clip(raw, lowest, self.highest)
            start = self._START * scale
            self._start = float(np.clip(percentile(own, 75), lowest, start))
            # A swaying branch reaches into the cells around its own.
            around = cv2.dilate(own.astype(np.float32), np.ones((3, 3), np.uint8))
            self._limits = np.asarray(around, np.float32)
        return self._limits

    def quiet(self, rows: int, columns: int) -> float:
        """Returns the least of `limits` as a share of `lowest`, 1 at most: less without noise."""
        return min(1.0, float(self.limits(rows, columns).min()) / self.lowest)

    def chance(self) -> float:
        """Returns the weight that noise reaches by chance in one of ten frames; 0: not known."""
        if len(self._weights) < self._WARM_UP:
            return 0.0
        return sorted(self._weights)[int(self._USUAL * len(self._weights))]

    def arrays(self) -> Arrays:
        made: Arrays = {"floor": np.array([self._last_s, self._unseen, self._start])}
        if self._weights:
            made["floor_weights"] = np.array(self._weights)
        if self._recent:
            made["floor_recent"] = np.stack(self._recent)
        if self._limits is not None:
            made["floor_limits"] = self._limits
        return made

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        last_s, unseen, start = (float(value) for value in arrays["floor"])
        self._last_s, self._unseen, self._start = last_s, int(unseen), start
        self._recent.extend(floats(each) for each in arrays.get("floor_recent", ()))
        self._weights.extend(float(each) for each in arrays.get("floor_weights", ()))
        self._limits = optional_floats(arrays, "floor_limits")
