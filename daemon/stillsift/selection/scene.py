"""Remembers what a source has been showing lately, and what is usual for it.

Learns from every frame, kept or not: how much each cell flickers by itself, what stays in the
picture for good, where the objects are that were kept already, and how sharp pictures of this view
are. A cut begins a new scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, optional_floats
from ..frames import SPACING_S, lapse_s
from .background import Background
from .cells import Cells
from .moved_view import Move
from .noise import NoiseFloor
from .sharpness import SharpnessLevel
from .tracking import Tracking

_RESTS_S = 10.0
"""Seconds for which a view must not have moved before it is taken for another one. A camera that
needs ten minutes for the width of its picture moves further in that time."""


class Scene:
    """Holds all that is remembered of a source's pictures, in addition to its gallery."""

    def __init__(self, lowest: float) -> None:
        """Scales all distances by `lowest`, the limit of a cell that never flickers."""
        self.noise = NoiseFloor(lowest)
        self.background = Background(lowest / 0.40)
        self.tracking = Tracking()
        self.level = SharpnessLevel()
        self.previous: Cells | None = None
        """The last frame, or one less than `SPACING_S` older; None: there was none."""
        self.previous_s = -np.inf
        self.still_s: Floats | None = None
        """(rows, columns) seconds for which each cell has not changed. None: not known yet."""
        self.kept_s = -np.inf
        """Time of the last kept frame, seconds; -inf: none was kept."""
        self.unshown_s = 0.0
        """Time since then in which no kept frame showed all of the picture, seconds; less where one
        showed it again."""
        self.move: Move | None = None
        """By how much the view had moved at `moved_s`, and hardly more since. None: it has not."""
        self.moved_s = -np.inf
        self.local_s = -np.inf
        """Time of the last frame kept for something in its view, seconds; -inf: none was kept."""

    def due(self, at_s: float) -> bool:
        """Tells whether a frame of this time is the next after `SPACING_S`: those are learned."""
        return not 0 <= at_s - self.previous_s < SPACING_S

    def rests_at(self, move: Move, at_s: float) -> bool:
        """Tells whether the view came to rest after it had moved by this much."""
        there = self.move is not None and self.move.near(move)
        return there and lapse_s(self.moved_s, at_s) >= _RESTS_S

    def learn_move(self, move: Move | None, at_s: float) -> None:
        """Remembers by how much the view has moved since the nearest kept frame."""
        again = move is None or self.move is None or not self.move.near(move)
        if again or at_s < self.moved_s:  # the clock was set back
            self.move, self.moved_s = move, at_s

    def restart(self) -> None:
        """Begins another view, and forgets what was true only of the last one."""
        self.level.restart()
        self.noise.restart()
        self.background.restart()
        self.tracking.end_event()

    def arrays(self) -> Arrays:
        """Returns everything, bit for bit. Grids hold values that half precision holds exactly."""
        active_s, level = self.tracking.active_s, self.level
        times = (self.previous_s, active_s, self.kept_s, self.local_s, level.last_s)
        moved = {} if self.move is None else self.move.arrays("move")
        made: Arrays = {
            **self.noise.arrays(),
            **self.background.arrays(),
            **self.tracking.arrays(),
            **moved,
            "moved_s": np.array(self.moved_s),
            "times": np.array(times),
            "unshown_s": np.array(self.unshown_s),
            "sharpness": np.array(level.recent, np.float64),
            "details": np.array(level.details, np.float64),
        }
        if level.before is not None:
            made["sharpness_before"] = np.array(level.before)
        if self.still_s is not None:
            made["still_s"] = self.still_s
        if self.previous is not None:
            made["previous"] = self.previous.grid().astype(np.float16)
            if self.previous.chroma is not None:
                made["previous_chroma"] = self.previous.chroma
        return made

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Takes over what `arrays` returned."""
        self.previous_s, active_s, self.kept_s, self.local_s, level_s = (
            float(value) for value in arrays["times"]
        )
        self.move = Move.restored(arrays, "move")
        if "moved_s" in arrays:
            self.moved_s = float(arrays["moved_s"])
        if "unshown_s" in arrays:  # a state from before it existed has none
            self.unshown_s = float(arrays["unshown_s"])
        self.noise.restore(arrays)
        self.background.restore(arrays)
        self.tracking.restore(arrays, active_s)
        before = float(arrays["sharpness_before"]) if "sharpness_before" in arrays else None
        recent = [float(value) for value in arrays["sharpness"]]
        self.level = SharpnessLevel(recent, level_s, before)
        self.level.details = [float(value) for value in arrays["details"]]
        self.still_s = optional_floats(arrays, "still_s")
        if (grid := optional_floats(arrays, "previous")) is not None:
            chroma = optional_floats(arrays, "previous_chroma")
            self.previous = replace(Cells.from_grid(grid), chroma=chroma)
