"""Follows objects that move through the picture, and remembers what was kept of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Mask, floats, optional_floats
from ..frames import lapse_s
from .cells import Cells, across, energy_of
from .numbers import Numbers

_ENOUGH = 0.4
"""Share of a group of changed cells that must follow an object for all of it to belong to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """Describes the cells of one frame that belong to objects."""

    mask: Mask
    """(rows, columns) cells that belong to objects."""
    cells: Cells
    """These cells, as a row."""
    at_s: float

    @classmethod
    def of(cls, mask: Mask, cells: Cells, at_s: float) -> Foreground:
        return cls(mask, cells.chosen(np.flatnonzero(mask)), at_s)


class Tracking:
    """Follows objects from frame to frame while an event lasts.

    An event begins with its first kept frame and ends when nothing has changed for a while.
    """

    _MEMORY_S = 10.0
    """Seconds after which something kept counts as another thing, even if it looks the same."""
    _CALM_S = 1.5
    """Seconds without a change after which an event is over."""
    _PAUSE_S = 1.0
    """Longest time between two frames over which objects are followed, seconds."""

    def __init__(self) -> None:
        self.followed: Foreground | None = None
        """Foreground of the last frame: all that moves, kept or not; None: nothing does."""
        self.known: Mask = np.zeros((0, 0), np.bool_)
        """(rows, columns) cells of it that descend from kept objects, and so explain what comes
        after them; set only where something is followed."""
        self.kept: tuple[Foreground, ...] = ()
        """Foregrounds of the frames kept in this event."""
        self.shown = 0.0
        """Largest `Comparison.shown` of the frames kept in this event; 0: none was kept."""
        self.active_s = -np.inf
        """Time when something was last followed, seconds; -inf: never."""

    def end_event(self) -> None:
        """Ends the event: forgets what was followed and what was kept of it."""
        self.followed, self.kept, self.shown = None, (), 0.0

    def is_active(self, at_s: float) -> bool:
        """Tells whether objects are being followed now."""
        return self.followed is not None and 0 <= lapse_s(self.followed.at_s, at_s) <= self._PAUSE_S

    def recent(self, at_s: float) -> tuple[Foreground, ...]:
        """Returns what was kept in this event at most `_MEMORY_S` ago, so may be the same thing."""
        return tuple(each for each in self.kept if abs(lapse_s(each.at_s, at_s)) <= self._MEMORY_S)

    def follow(self, mask: Mask, known: Mask, cells: Cells, at_s: float) -> None:
        """Remembers that these cells of the last frame move; the `known` ones belong to objects
        that were kept."""
        self.followed = Foreground.of(mask, cells, at_s)
        self.known = known
        self.active_s = at_s

    def keep(self, mask: Mask, cells: Cells, at_s: float) -> None:
        """Remembers that a kept frame shows these cells."""
        self.kept = (*self.kept, Foreground.of(mask, cells, at_s))

    def rest(self, at_s: float) -> None:
        """Ends the event if nothing has changed for long enough; this frame shows no change."""
        if lapse_s(self.active_s, at_s) > self._CALM_S:
            self.end_event()

    def forget(self, at_s: float) -> None:
        """Forgets what was kept too long ago to be the same thing."""
        self.kept = self.recent(at_s)

    def arrays(self) -> Arrays:
        """Returns all but `active_s`. Features hold values that half precision holds exactly."""
        fronts = [*self.kept, *([] if self.followed is None else [self.followed])]
        made: Arrays = {
            "shown": np.array(self.shown),
            "fronts": np.array([each.at_s for each in fronts], np.float64),
            "remembered": np.array(len(self.kept)),
            "known": self.known,
        }
        for number, each in enumerate(fronts):
            made[f"front{number}_mask"] = each.mask
            made[f"front{number}"] = each.cells.features.astype(np.float16)
            if each.cells.chroma is not None:
                made[f"front{number}_chroma"] = each.cells.chroma
        return made

    def restore(self, arrays: Mapping[str, NDArray[np.generic]], active_s: float) -> None:
        """Takes over what `arrays` returned, and `active_s`."""
        fronts = []
        for number, at_s in enumerate(arrays["fronts"]):
            features = floats(arrays[f"front{number}"])
            mask = np.asarray(arrays[f"front{number}_mask"], np.bool_)
            chroma = optional_floats(arrays, f"front{number}_chroma")
            cells = Cells(1, len(features), features, energy_of(features), chroma)
            fronts.append(Foreground(mask, cells, float(at_s)))
        kept = int(arrays["remembered"])
        self.kept = tuple(fronts[:kept])
        self.followed = fronts[kept] if len(fronts) > kept else None
        self.known = np.asarray(arrays["known"], np.bool_)
        self.shown, self.active_s = float(arrays["shown"]), active_s


def carried(
    cells: Cells, changed: Mask, before: Foreground, known: Mask, numbers: Numbers
) -> tuple[Mask, Mask]:
    """Returns the changed cells of a picture that belong to objects `before`, moved on a little.

    First those that carry on any of them, then those that carry on its (rows, columns) `known`
    cells. All of a group is carried where enough of it is.
    """
    none = np.zeros_like(changed)
    if before.mask.shape != changed.shape or not before.mask.any() or not changed.any():
        return none, none
    flat = np.flatnonzero(changed)
    apart = across(cells, flat, before.cells)
    here, there = np.argwhere(changed), np.argwhere(before.mask)
    far = np.abs(here[:, None, :] - there[None]).max(2) > numbers.reach
    near = (apart <= numbers.followed) & ~far
    groups = list(connected(changed))

    def grown(hits: Mask) -> Mask:
        hit, all_of_it = np.zeros_like(changed), np.zeros_like(changed)
        hit.flat[flat] = hits
        for group in groups:
            mine = hit & group
            all_of_it |= group if mine.sum() >= _ENOUGH * group.sum() else mine
        return all_of_it

    of_known = near[:, known[before.mask]]
    return grown(near.any(1)), grown(of_known.any(1)) if of_known.size else none


def connected(mask: Mask) -> Iterator[Mask]:
    """Returns a mask for each group of cells that touch at a side or a corner."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return (labels == number for number in range(1, count))
