"""The scene: what a source has been showing lately, and what is usual for it.

Learned from every frame, kept or not: how much each cell flickers by itself (noise, rain, an
overlay clock), what stays in the picture for good, where the objects are that were kept already,
and how sharp pictures of this view are. A cut begins a new scene.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, Mask
from ..frames import SPACING_S, lapse_s
from .gallery import Cells, cell_distances, energy_of, median
from .sharpness import SharpnessLevel

LIGHT = 0.75
"""Share of the median cell distance that is put down to light and taken off every cell."""


class NoiseFloor:
    """The recent distances of every cell, and the limits that they teach.

    A cell is allowed median + 4 robust standard deviations of its own last 64 distances: next to
    nothing on a quiet wall, much where a tree sways or a clock runs.
    """

    _WINDOW = 64
    _WARM_UP = 12
    _DEVIATIONS = 4.0
    _HIGHEST = 1.10
    _START = 0.60
    _WEIGHTS = 128
    _USUAL = 0.90
    """Share of the recent frames that weigh no more than what chance is taken to put together."""
    _RENEW_EVERY = 5
    """Frames between two looks at the window: its medians cost half a millisecond."""

    def __init__(self, lowest: float) -> None:
        """`lowest`: limit of a cell that never flickers."""
        self.lowest = lowest
        self.highest = self._HIGHEST * lowest / 0.40
        self._start = self._START * lowest / 0.40
        self._recent: deque[Floats] = deque(maxlen=self._WINDOW)
        self._weights: deque[float] = deque(maxlen=self._WEIGHTS)
        self._last_s = -np.inf
        self._unseen = 0
        self._limits: Floats | None = None

    def restart(self) -> None:
        """Another scene begins; what this source is like in general is remembered."""
        self._recent.clear()
        self._weights.clear()
        self._limits = None
        self._unseen = 0

    def learn(self, distances: Floats, weight: float | None, at_s: float) -> None:
        """Take (rows, columns) distances to the nearest kept frame into account, and the `weight`
        of what they put together. None: something is going on, which is no noise."""
        if self._recent and self._recent[-1].shape != distances.shape:
            self.restart()
        if 0 <= at_s - self._last_s < SPACING_S:
            return
        self._recent.append(distances)
        if weight is not None:
            self._weights.append(weight)
        self._last_s = at_s
        self._unseen += 1
        if self._unseen >= self._RENEW_EVERY:
            self._limits, self._unseen = None, 0

    def limits(self, rows: int, columns: int) -> Floats:
        """(rows, columns) distance that each cell has to exceed to count as changed."""
        usable = len(self._recent) >= self._WARM_UP
        if not usable or self._recent[-1].shape != (rows, columns):
            return np.full((rows, columns), self._start, np.float32)
        if self._limits is None:
            recent = np.stack(self._recent)
            middle = median(np.moveaxis(recent, 0, -1))
            spread = median(np.moveaxis(np.abs(recent - middle), 0, -1)) * 1.4826
            own = np.clip(middle + self._DEVIATIONS * spread, self.lowest, self.highest)
            start = self._START * self.lowest / 0.40
            self._start = float(np.clip(np.percentile(own, 75), self.lowest, start))
            # A swaying branch does not stop at the border of its cell.
            around = cv2.dilate(own.astype(np.float32), np.ones((3, 3), np.uint8))
            self._limits = np.asarray(around, np.float32)
        return self._limits

    def chance(self) -> float:
        """Weight that noise puts together by chance in one of ten frames."""
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
        self._recent.extend(_floats(each) for each in arrays.get("floor_recent", ()))
        self._weights.extend(float(each) for each in arrays.get("floor_weights", ()))
        self._limits = _optional(arrays, "floor_limits")


class Background:
    """What stays: a running mean of every cell that has been the same for some seconds.

    It explains cells as a kept frame does: an object that leaves uncovers what was seen before.
    """

    _SAME = 0.5
    _STAYS_S = 3.0
    _LEARNED = 0.25
    """Share of the cells that must have stayed before any of them explains something."""
    _PER_S = 0.5
    """Share of the mean that is renewed in a second."""

    def __init__(self, scale: float) -> None:
        self._same = self._SAME * scale
        self._cells: Cells | None = None
        self._age_s: Floats = np.zeros(0, np.float32)
        self._last_s = 0.0

    def restart(self) -> None:
        self._cells = None

    def distances(self, cells: Cells) -> Floats | None:
        """(cells,), infinite where nothing has stayed long enough. None: too little is learned."""
        if self._cells is None or self._cells.shape != cells.shape:
            return None
        stays = self._age_s >= self._STAYS_S
        if stays.mean() < self._LEARNED:
            return None
        return np.where(stays, cell_distances(cells, self._cells), np.inf).astype(np.float32)

    def learn(self, cells: Cells, at_s: float, new: Mask | None = None) -> None:
        """Take a frame into account, but for what is `new` in it: (rows, columns); None: nothing.

        What may not be kept now must not be found to have stayed.
        """
        before = self._cells
        if before is None or before.shape != cells.shape:
            self._cells, self._last_s = cells, at_s
            self._age_s = np.zeros(len(cells.energy), np.float32)
            return
        step_s = float(np.clip(lapse_s(self._last_s, at_s), 0, 1))
        self._last_s = at_s
        distances = cell_distances(cells, before)
        same = distances - LIGHT * median(distances) < self._same
        rate = np.where(same, self._PER_S * step_s, 0).astype(np.float32)
        if new is not None:
            rate[new.reshape(-1)] = 0
        features = before.features + rate[:, None] * (cells.features - before.features)
        longest = 2 * self._STAYS_S
        age_s = np.where(same, np.minimum(self._age_s + step_s, longest), self._age_s - step_s)
        if new is not None:
            age_s = np.where(new.reshape(-1), self._age_s, age_s)
        gone = age_s < 0
        features[gone] = cells.features[gone]
        self._age_s = np.where(gone, 0, age_s).astype(np.float32)
        self._cells = Cells(cells.rows, cells.columns, features, energy_of(features))

    def arrays(self) -> Arrays:
        if self._cells is None:
            return {}
        return {
            "background": self._cells.grid(),
            "background_age_s": self._age_s,
            "background_last_s": np.array(self._last_s),
        }

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        if (grid := _optional(arrays, "background")) is not None:
            self._cells = Cells.from_grid(grid)
            self._age_s = _floats(arrays["background_age_s"])
            self._last_s = float(arrays["background_last_s"])


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """Cells of one frame that belong to objects."""

    mask: Mask
    """(rows, columns)"""
    features: Floats
    """(mask.sum(), C)"""
    energy: Floats
    at_s: float

    @classmethod
    def of(cls, mask: Mask, cells: Cells, at_s: float) -> Foreground:
        chosen = np.flatnonzero(mask)
        return cls(mask, cells.features[chosen], cells.energy[chosen], at_s)


class Scene:
    """All that is remembered of a source beside its gallery."""

    _MEMORY_S = 10.0
    _CALM_S = 1.5
    """An event is over when nothing has stirred for this long."""
    _TRACK_S = 1.0
    """Objects are followed from frame to frame, not over a longer pause."""

    def __init__(self, lowest: float) -> None:
        """`lowest`: limit of a cell that never flickers; the other distances follow from it."""
        self.noise = NoiseFloor(lowest)
        self.background = Background(lowest / 0.40)
        self.level = SharpnessLevel()
        self.followed: Foreground | None = None
        """What of the last frame belongs to objects that were kept."""
        self.memory: tuple[Foreground, ...] = ()
        """Foregrounds of the frames kept in this event."""
        self.previous: Cells | None = None
        self.previous_s = -np.inf
        self.still_s: Floats | None = None
        """(rows, columns) how long each cell has not changed."""
        self.active_s = -np.inf
        self.kept_s = -np.inf
        self.local_s = -np.inf
        """When the last frame was kept for something in it, and not for being another view."""
        self.shown = 0.0
        """The most that a frame kept in this event shows of what is in it."""

    def restart(self) -> None:
        """Another view: nothing learned of the last one holds."""
        self.level.restart()
        self.noise.restart()
        self.background.restart()
        self._end_event()

    def _end_event(self) -> None:
        self.followed, self.memory, self.shown = None, (), 0.0

    def is_followed(self, at_s: float) -> bool:
        """Whether something moves through the picture now."""
        return self.followed is not None and 0 <= lapse_s(self.followed.at_s, at_s) <= self._TRACK_S

    def remembered(self, at_s: float) -> tuple[Foreground, ...]:
        """What was kept in this event, and not too long ago to be the same thing."""
        return tuple(
            each for each in self.memory if abs(lapse_s(each.at_s, at_s)) <= self._MEMORY_S
        )

    def follow(self, mask: Mask, cells: Cells, at_s: float) -> None:
        """These cells belong to objects that were kept."""
        self.followed = Foreground.of(mask, cells, at_s)
        self.active_s = at_s

    def remember(self, mask: Mask, cells: Cells, at_s: float) -> None:
        """These cells were kept."""
        self.memory = (*self.memory, Foreground.of(mask, cells, at_s))

    def rest(self, at_s: float) -> None:
        """Nothing stirs in this frame."""
        if lapse_s(self.active_s, at_s) > self._CALM_S:
            self._end_event()

    def forget(self, at_s: float) -> None:
        """Let go what is too old to matter."""
        self.memory = self.remembered(at_s)

    def arrays(self) -> Arrays:
        """Everything, bit for bit: grids come in as values that half precision holds exactly."""
        times = (self.previous_s, self.active_s, self.kept_s, self.local_s, self.level.last_s)
        fronts = [*self.memory, *([] if self.followed is None else [self.followed])]
        made: Arrays = {
            **self.noise.arrays(),
            **self.background.arrays(),
            "times": np.array(times),
            "shown": np.array(self.shown),
            "sharpness": np.array(self.level.recent, np.float64),
            "fronts": np.array([each.at_s for each in fronts], np.float64),
            "remembered": np.array(len(self.memory)),
        }
        if self.level.before is not None:
            made["sharpness_before"] = np.array(self.level.before)
        if self.still_s is not None:
            made["still_s"] = self.still_s
        if self.previous is not None:
            made["previous"] = self.previous.grid().astype(np.float16)
        for number, each in enumerate(fronts):
            made[f"front{number}_mask"] = each.mask
            made[f"front{number}"] = each.features.astype(np.float16)
        return made

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """What `arrays` wrote down."""
        self.noise.restore(arrays)
        self.background.restore(arrays)
        times = [float(value) for value in arrays["times"]]
        self.previous_s, self.active_s, self.kept_s, self.local_s = times[:4]
        self.shown = float(arrays["shown"])
        before = float(arrays["sharpness_before"]) if "sharpness_before" in arrays else None
        recent = [float(value) for value in arrays["sharpness"]]
        self.level = SharpnessLevel(recent, times[4], before)
        self.still_s = _optional(arrays, "still_s")
        if (grid := _optional(arrays, "previous")) is not None:
            self.previous = Cells.from_grid(grid)
        fronts = []
        for number, at_s in enumerate(arrays["fronts"]):
            features = _floats(arrays[f"front{number}"])
            mask = np.asarray(arrays[f"front{number}_mask"], np.bool_)
            fronts.append(Foreground(mask, features, energy_of(features), float(at_s)))
        remembered = int(arrays["remembered"])
        self.memory = tuple(fronts[:remembered])
        self.followed = fronts[remembered] if len(fronts) > remembered else None


def groups(mask: Mask) -> Iterator[Mask]:
    """Cells that hang together, diagonals too."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return (labels == number for number in range(1, count))


def _optional(arrays: Mapping[str, NDArray[np.generic]], name: str) -> Floats | None:
    return _floats(arrays[name]) if name in arrays else None


def _floats(array: NDArray[np.generic]) -> Floats:
    return np.asarray(array, np.float32)
