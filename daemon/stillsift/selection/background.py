"""Learns what stays in the picture for good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, Mask, floats, optional_floats
from ..frames import lapse_s
from .cells import Cells, cell_distances, colour_distances, energy_of, median

LIGHT = 0.75
"""Share of the median cell distance that is ascribed to light and subtracted from every cell."""


class Background:
    """Holds a running mean of every cell, and knows which cells have stayed for some seconds.

    Such cells explain a picture as a kept frame does: when an object leaves, it uncovers what was
    seen before.
    """

    _SAME = 0.5
    _STAYS_S = 3.0
    _LEARNED = 0.25
    """Share of the cells that must have stayed before the background is used."""
    _PER_S = 0.5
    """Share of the mean that is renewed in one second."""

    def __init__(self, scale: float) -> None:
        self._scale, self._same = scale, self._SAME * scale
        self._cells: Cells | None = None
        self._age_s: Floats = np.zeros(0, np.float32)
        self._last_s = 0.0
        self._shown: Mask | None = None
        self._shown_for, self._shown_s = "", -np.inf

    def restart(self) -> None:
        self._cells, self._shown = None, None

    def shown(self, gallery: str, look: Callable[[Cells], Mask]) -> Mask:
        """Returns the (cells,) places where kept frames show what stays there.

        `gallery` is a text for the kept frames, and `look` tells the places. It is asked where
        `learn_shown` was not called for these frames.
        """
        assert self._cells is not None
        if self._shown is not None and self._shown_for == gallery:
            return self._shown
        return look(self._cells)

    def learn_shown(self, gallery: str, at_s: float, look: Callable[[Cells], Mask]) -> None:
        """Remembers what `shown` returns. What stays changes slowly: a look a second is enough."""
        fresh = 0 <= lapse_s(self._shown_s, at_s) < 1 and self._shown_for == gallery
        if self._cells is not None and (self._shown is None or not fresh):
            self._shown, self._shown_for, self._shown_s = look(self._cells), gallery, at_s

    def distances(self, cells: Cells, rests: Mask) -> Floats | None:
        """Returns (cells,) distances, infinite where nothing stayed. None: too little learned.

        Colour counts in the (cells,) that rest.
        """
        if self._cells is None or self._cells.shape != cells.shape:
            return None
        stays = self._age_s >= self._STAYS_S
        if stays.mean() < self._LEARNED:
            return None
        colours = self._scale * colour_distances(cells, self._cells)
        apart = cell_distances(cells, self._cells) + rests * colours
        return np.where(stays, apart, np.inf).astype(np.float32)

    def learn(
        self, cells: Cells, at_s: float, new: Mask | None = None, *, quiet: float = 1.0
    ) -> None:
        """Learns from a frame, except from its (rows, columns) `new` cells; None: there are none.

        `quiet`: as `NoiseFloor.quiet` returns it; without noise, what differs a little is another.
        New things that may not be kept now must not become part of the background.
        """
        before = self._cells
        if before is None or before.shape != cells.shape:
            self._cells, self._last_s, self._shown = cells, at_s, None
            self._age_s = np.zeros(len(cells.energy), np.float32)
            return
        step_s = float(np.clip(lapse_s(self._last_s, at_s), 0, 1))
        self._last_s = at_s
        distances = cell_distances(cells, before) + self._scale * colour_distances(cells, before)
        same = distances - LIGHT * median(distances) < self._same * quiet
        rate = np.where(same, self._PER_S * step_s, 0).astype(np.float32)
        if new is not None:
            rate[new.reshape(-1)] = 0
        features = cells.features - before.features
        features *= rate[:, None]
        features += before.features
        longest = 2 * self._STAYS_S
        age_s = np.where(same, np.minimum(self._age_s + step_s, longest), self._age_s - step_s)
        if new is not None:
            age_s = np.where(new.reshape(-1), self._age_s, age_s)
        gone = age_s < 0
        if gone.any():
            features[gone] = cells.features[gone]
        chroma = cells.chroma
        if chroma is not None and before.chroma is not None:
            mean = before.chroma + rate[:, None] * (chroma - before.chroma)
            chroma = np.where(gone[:, None], chroma, mean)
        self._age_s = np.where(gone, 0, age_s).astype(np.float32)
        self._cells = Cells(cells.rows, cells.columns, features, energy_of(features), chroma)

    def arrays(self) -> Arrays:
        if self._cells is None:
            return {}
        made: Arrays = {
            "background": self._cells.grid(),
            "background_age_s": self._age_s,
            "background_last_s": np.array(self._last_s),
        }
        if self._cells.chroma is not None:
            made["background_chroma"] = self._cells.chroma
        if self._shown is not None:
            made["background_shown"] = self._shown
            made["background_shown_for"] = np.array(self._shown_for)
            made["background_shown_s"] = np.array(self._shown_s)
        return made

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        if (grid := optional_floats(arrays, "background")) is not None:
            chroma = optional_floats(arrays, "background_chroma")
            self._cells = replace(Cells.from_grid(grid), chroma=chroma)
            self._age_s = floats(arrays["background_age_s"])
            self._last_s = float(arrays["background_last_s"])
        if "background_shown" in arrays:
            self._shown = np.asarray(arrays["background_shown"], np.bool_)
            self._shown_for = str(arrays["background_shown_for"])
            self._shown_s = float(arrays["background_shown_s"])
