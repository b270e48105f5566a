"""Follows what moves through the picture, and remembers what was kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Arrays, Floats, Mask, floats
from ..frames import lapse_s
from .cells import Cells, energy_of


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


class Tracking:
    """Follows objects from frame to frame while an event lasts.

    An event begins with what is kept of it and ends when nothing has stirred for a while.
    """

    _MEMORY_S = 10.0
    """What was kept longer ago is another thing, however much it looks the same."""
    _CALM_S = 1.5
    """An event is over when nothing has stirred for this long."""
    _PAUSE_S = 1.0
    """Objects are followed from frame to frame, not over a longer pause."""

    def __init__(self) -> None:
        self.followed: Foreground | None = None
        """What of the last frame belongs to objects that were kept."""
        self.kept: tuple[Foreground, ...] = ()
        """Foregrounds of the frames kept in this event."""
        self.shown = 0.0
        """The most that a frame kept in this event shows of what is in it."""
        self.active_s = -np.inf
        """When something was followed last."""

    def end_event(self) -> None:
        """Forgets what was followed and what was kept of it."""
        self.followed, self.kept, self.shown = None, (), 0.0

    def is_active(self, at_s: float) -> bool:
        """Tells whether something moves through the picture now."""
        return self.followed is not None and 0 <= lapse_s(self.followed.at_s, at_s) <= self._PAUSE_S

    def recent(self, at_s: float) -> tuple[Foreground, ...]:
        """Gives what was kept in this event, and not too long ago to be the same thing."""
        return tuple(each for each in self.kept if abs(lapse_s(each.at_s, at_s)) <= self._MEMORY_S)

    def follow(self, mask: Mask, cells: Cells, at_s: float) -> None:
        """Takes note that these cells belong to objects that were kept."""
        self.followed = Foreground.of(mask, cells, at_s)
        self.active_s = at_s

    def keep(self, mask: Mask, cells: Cells, at_s: float) -> None:
        """Takes note that these cells were kept."""
        self.kept = (*self.kept, Foreground.of(mask, cells, at_s))

    def rest(self, at_s: float) -> None:
        """Takes note that nothing stirs in this frame."""
        if lapse_s(self.active_s, at_s) > self._CALM_S:
            self.end_event()

    def forget(self, at_s: float) -> None:
        """Lets go what is too old to matter."""
        self.kept = self.recent(at_s)

    def arrays(self) -> Arrays:
        """Gives all of it but `active_s`; features are such as half precision holds exactly."""
        fronts = [*self.kept, *([] if self.followed is None else [self.followed])]
        made: Arrays = {
            "shown": np.array(self.shown),
            "fronts": np.array([each.at_s for each in fronts], np.float64),
            "remembered": np.array(len(self.kept)),
        }
        for number, each in enumerate(fronts):
            made[f"front{number}_mask"] = each.mask
            made[f"front{number}"] = each.features.astype(np.float16)
        return made

    def restore(self, arrays: Mapping[str, NDArray[np.generic]], active_s: float) -> None:
        """Takes up what `arrays` wrote down."""
        fronts = []
        for number, at_s in enumerate(arrays["fronts"]):
            features = floats(arrays[f"front{number}"])
            mask = np.asarray(arrays[f"front{number}_mask"], np.bool_)
            fronts.append(Foreground(mask, features, energy_of(features), float(at_s)))
        kept = int(arrays["remembered"])
        self.kept = tuple(fronts[:kept])
        self.followed = fronts[kept] if len(fronts) > kept else None
        self.shown, self.active_s = float(arrays["shown"]), active_s


def connected(mask: Mask) -> Iterator[Mask]:
    """Cells that hang together, diagonals too."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return (labels == number for number in range(1, count))
