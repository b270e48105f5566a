"""Looks closer where something is: a detector sees a square of the picture besides all of it.

NanoDet sees a person of 60 pixels in a picture of 1920 at 13 pixels. bench/README.md has what it
finds of such people with and without squares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from ..arrays import Image
from ..decisions import Box, Detection
from .detector import Detector
from .outputs import apart

_MARGIN: Final = 4.0
"""Side of a square, as a multiple of the longer side of what it is around. Measured with people of
14 to 85 pixels: with less around them, the larger ones are found with less confidence."""
_LEAST_SIDE: Final = 160
"""Least side of a square, in pixels. Measured with people of 14 pixels: 96 finds as many."""
_MOST_SHARE: Final = 0.7
"""Share of the shorter side of the picture from which a square shows no more than the picture."""
_EDGE: Final = 0.02
"""Share of a square's side: what ends this near to its edge may be a part of something larger."""

Square = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels, within the picture."""


def crops(shape: tuple[int, ...], regions: Iterable[Box]) -> list[Square]:
    """Returns the squares that show what is in `regions` larger than the whole picture does.

    `shape` is that of the picture, (height, width, ...). Squares lie within the picture. A region
    that lies well within an earlier square needs none, and neither does one that is large anyway.
    """
    height, width = shape[:2]
    found: list[Square] = []
    for region in regions:
        left, top, right, bottom = region
        side = round(max(_MARGIN * max(right - left, bottom - top), _LEAST_SIDE))
        if side > _MOST_SHARE * min(width, height) or any(_within(region, each) for each in found):
            continue
        x = min(max(0, round((left + right - side) / 2)), width - side)
        y = min(max(0, round((top + bottom - side) / 2)), height - side)
        found.append((x, y, x + side, y + side))
    return found


def _within(region: Box, square: Square) -> bool:
    """Tells whether a square shows a region with room around it."""
    room = (square[2] - square[0]) * (1 - 1 / _MARGIN) / 4
    return (
        square[0] + room <= region[0]
        and square[1] + room <= region[1]
        and region[2] <= square[2] - room
        and region[3] <= square[3] - room
    )


def detect_around(
    detector: Detector, picture: Image, regions: Iterable[Box], least: float
) -> list[Detection]:
    """Returns what is found in the whole picture and in squares around `regions`.

    `picture` is as a detector takes it, `regions` are (left, top, right, bottom) in its pixels.
    Each square costs as much as a square picture. What several have found is one finding, the most
    confident one. The most confident finding comes first. Raises DetectError.
    """
    found = detector(picture, least)
    for square in crops(picture.shape, regions):
        left, top, right, bottom = square
        found += [
            replace(each, box=_moved(each.box, left, top))
            for each in detector(picture[top:bottom, left:right], least)
            if not _cut_off(_moved(each.box, left, top), square, picture.shape)
        ]
    return merged(found, detector.spec.overlap)


def merged(found: Sequence[Detection], overlap: float) -> list[Detection]:
    """Returns findings of one picture without those that a more confident one covers."""
    labels = sorted({each.label for each in found})
    scores = np.zeros((len(found), len(labels)), np.float32)
    for row, each in enumerate(found):
        scores[row, labels.index(each.label)] = each.confidence
    boxes = np.array([each.box for each in found], np.float32).reshape(-1, 4)
    return [found[row] for row, _ in apart(boxes, scores, 0.0, overlap)]


def _moved(box: Box, x: int, y: int) -> Box:
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _cut_off(box: Box, square: Square, shape: tuple[int, ...]) -> bool:
    """Tells whether something ends where the square does, and the picture does not."""
    near = _EDGE * (square[2] - square[0])
    return (
        (square[0] > 0 and box[0] < square[0] + near)
        or (square[1] > 0 and box[1] < square[1] + near)
        or (square[2] < shape[1] and box[2] > square[2] - near)
        or (square[3] < shape[0] and box[3] > square[3] - near)
    )
