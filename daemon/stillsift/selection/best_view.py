"""Prefers, of some frames of a moment, the one that shows its objects largest, whole and sharp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ..arrays import Image, Mask
from ..decisions import Box
from .sharpness import sharpness
from .shown_objects import covered, part_of

_SPOILT: Final = 0.5
"""Factor on the size of an object that is cut off or blurred: a whole, sharp view of half the size
is as good a view."""
_EDGE: Final = 0.01
"""Share of the picture's side within which an object ends where the picture does: half of the eight
pixels of 416 to which NanoDet tells where something ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Describes what a detector has found in one frame."""

    picture: Image
    """(height, width, 3) BGR."""
    boxes: Sequence[Box]
    """The objects that are wanted, in shares of its width and height."""
    changed: Mask | None
    """(rows, columns) cells in which it differs from kept frames; None: in all."""


def best_view(looks: Sequence[Look], least_sharp: float) -> int:
    """Returns the place of the frame with the best view of its objects, the first of equal ones.

    Only objects where something has changed count: those that stand there are in all frames, but
    are not found in all. An object is blurred below a share of `least_sharp` of the sharpest one.
    """
    views = [[(box, _sharpness(each.picture, box)) for box in _new(each)] for each in looks]
    sharpest = max((sharp for view in views for _, sharp in view), default=0.0)
    sizes = [
        sum(
            (box[2] - box[0])
            * (box[3] - box[1])
            * (_SPOILT if _is_cut_off(box) or sharp < least_sharp * sharpest else 1)
            for box, sharp in view
        )
        for view in views
    ]
    return int(np.argmax(sizes))


def _new(look: Look) -> list[Box]:
    """Returns the boxes in which at least one cell has changed."""
    changed = look.changed
    if changed is None:
        return list(look.boxes)
    return [box for box in look.boxes if (changed & covered(box, changed.shape)).any()]


def _sharpness(picture: Image, box: Box) -> float:
    return sharpness(np.asarray(cv2.cvtColor(part_of(picture, box), cv2.COLOR_BGR2GRAY))).value


def _is_cut_off(box: Box) -> bool:
    return min(box[0], box[1]) < _EDGE or max(box[2], box[3]) > 1 - _EDGE
