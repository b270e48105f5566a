"""Tells whether a picture shows what a source is asked to keep, by the objects found in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..arrays import Image
from ..decisions import Box, Detection, Reason
from ..detection.outputs import apart
from ..units import written_duration
from .budgets import Refusal
from .regions import Polygon

MOST_TRIED = 5
"""Most frames of one moment that are asked for an object, until one shows it: the best one, then
others with something new, spread over the moment. A detector that is not sure of something finds it
in one frame and not in the next."""
LEAST_CONFIDENCE = 0.3
"""Confidence from which an object counts where nothing else is asked for. Measured on two roads
seen from above, `vehicle`: nine of nine events have a kept frame at .3, seven at .4, five at .5;
at none of them is a frame of the empty road kept, where the most is .21."""
LOOKED_AT = 960
"""Pixels of the longer side of the stills that wait for a look: 1.5 MB each."""
_ONE_OBJECT = 0.6
"""Intersection over union above which two boxes are one object: what NanoDet's boxes of one label
are told apart by."""
TRIGGER_RATE = 1.0
"""Looks for a trigger in a second of stream time: who walks through a picture is in it for seconds,
and a look costs as much as three to thirty frames that are sifted."""


@dataclass(frozen=True, slots=True)
class Target:
    """Describes an object that is looked for."""

    label: str
    confidence: float = LEAST_CONFIDENCE
    """Least confidence, 0 to 1."""
    min_size: float = 0.0
    """Least share of the picture that its box covers, 0 to 1."""
    zone: tuple[Polygon, ...] = ()
    """Areas in which the middle of its lower edge has to be, where it stands; empty: anywhere."""
    most: float = 1.0
    """Confidence above which it is not what is looked for: the detector must hesitate."""
    every_s: float = 10.0
    """Of a trigger: least time between two frames that are kept for it, seconds."""

    def met_by(self, found: Detection, width: int, height: int) -> bool:
        """Tells whether an object found in a picture of this size is this one."""
        if found.label != self.label or not self.confidence <= found.confidence <= self.most:
            return False
        left, _, right, bottom = found.box
        if found.area < self.min_size * width * height:
            return False
        foot = (left + right) / 2 / width, bottom / height
        return not self.zone or any(_holds(polygon, foot) for polygon in self.zone)

    def __str__(self) -> str:
        least = f"{self.label} of {self.confidence:g}"
        return least if self.most >= 1 else f"{least} to {self.most:g}"


def _holds(polygon: Polygon, point: tuple[float, float]) -> bool:
    """Tells whether a polygon holds a point; its border belongs to it."""
    corners = np.array(polygon, np.float32)
    return cv2.pointPolygonTest(corners, point, measureDist=False) >= 0


@dataclass(frozen=True, slots=True)
class Targets:
    """Says what has to be in a picture for it to be kept, and what must not."""

    require: tuple[Target, ...] = ()
    """One of these has to be seen in what is kept; empty: nothing has to."""
    inhibit: tuple[Target, ...] = ()
    """None of these may be seen in what is kept."""
    trigger: tuple[Target, ...] = ()
    """A frame of a time line that shows one of these is kept though nothing in it is new."""
    by_object: bool = False
    """Whether what is kept has to show an object that no kept frame shows."""

    def __bool__(self) -> bool:
        return bool(self.all)

    @property
    def all(self) -> tuple[Target, ...]:
        return (*self.require, *self.inhibit, *self.trigger)

    @property
    def compared(self) -> tuple[Target, ...]:
        """Gives the objects of which one has to be new: what is required, else what triggers."""
        if not self.by_object:
            return ()
        return self.require or tuple(replace(each, most=1.0) for each in self.trigger)

    @property
    def labels(self) -> tuple[str, ...]:
        """Gives every label that is looked for, once."""
        return tuple(dict.fromkeys(each.label for each in self.all))

    @property
    def least(self) -> float:
        """Gives the least confidence that matters to any of them."""
        return min((each.confidence for each in self.all), default=1.0)

    def counting(self, found: Iterable[Detection]) -> tuple[Detection, ...]:
        """Returns the objects with a label and a confidence that are looked for, best first."""
        least: dict[str, float] = {}
        for each in self.all:
            least[each.label] = min(each.confidence, least.get(each.label, 1.0))
        some = [one for one in found if one.confidence >= least.get(one.label, 2.0)]
        return tuple(sorted(some, key=lambda one: -one.confidence))

    def missing(self, found: Sequence[Detection], width: int, height: int) -> Refusal | None:
        """Returns the refusal of a picture of this size that shows none of the required objects;
        None: it shows one, or none is required."""
        required = self.require or self.compared
        if required and not _met(required, found, width, height):
            told = ", ".join(map(str, found)) or "nothing of it"
            wanted = " or ".join(dict.fromkeys(map(str, required)))
            key = "require" if self.require else "compare: object"
            return Refusal(Reason.NO_TARGET, f"{key} asks for {wanted}, and it shows {told}")
        return None

    def wanted(self, found: Sequence[Detection], width: int, height: int) -> list[Detection]:
        """Returns the objects in a picture of this size for which it is kept, largest first."""
        wanted = self.compared or (*self.require, *self.trigger)
        some = [one for one in found if any(each.met_by(one, width, height) for each in wanted)]
        boxes = np.array([one.box for one in some], np.float32).reshape(-1, 4)
        scores = np.array([[one.confidence] for one in some], np.float32).reshape(-1, 1)
        # One thing may have two labels.
        rows = [row for row, _ in apart(boxes, scores, 0.0, _ONE_OBJECT)]
        return sorted((some[row] for row in rows), key=lambda one: -one.area)

    def inhibited(self, found: Sequence[Detection], width: int, height: int) -> Refusal | None:
        """Returns the refusal of a picture that shows what must not be kept; None: it does not."""
        seen = _met(self.inhibit, found, width, height)
        if seen is None:
            return None
        return Refusal(Reason.INHIBITED, f"it shows {seen[1]}, which inhibit leaves out")

    def triggered(self, found: Sequence[Detection], width: int, height: int) -> str | None:
        """Returns why a picture is kept, by the first trigger that it meets; None: by none."""
        seen = _met(self.trigger, found, width, height)
        if seen is None:
            return None
        target, shown = seen
        unsure = ", of which the detector is not sure" if target.most < 1 else ""
        return f"it shows {shown}{unsure}; at most one each {written_duration(target.every_s)}"


NO_TARGETS = Targets()

Detect = Callable[[Image, Sequence[Box], Targets], Sequence[Detection]]
"""Finds the objects that are asked for in a (height, width, 3) BGR picture, and closely in these
parts of it; boxes are in its pixels. Raises DetectError."""


def _met(
    targets: Iterable[Target], found: Sequence[Detection], width: int, height: int
) -> tuple[Target, Detection] | None:
    """Returns the first target that an object meets, with the object; None: none is met."""
    for target in targets:
        for each in found:
            if target.met_by(each, width, height):
                return target, each
    return None
