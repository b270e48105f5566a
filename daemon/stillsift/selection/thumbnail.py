"""Makes thumbnails and compares them: is a view at rest, changed, or the same but blurred?"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Image

THUMBNAIL = (64, 36)
"""Width and height of `thumbnail`, pixels."""

GLANCE_S = 0.09
"""Frames nearer to each other than this are looked at in full only where much has changed."""


def thumbnail(luma: Image, paint: Callable[[Image], Image] = lambda luma: luma) -> Image:
    """(36, 64) uint8 of a luma of any size: the picture without detail, to know a still scene.

    A block of a 1080p picture is 30 pixels wide, so sensor noise averages out and blur changes
    little, while an object of half a percent of the area covers a dozen blocks. `paint` is asked
    before the last step, so that a block counts by the part of it that it leaves.
    """
    height, width = luma.shape
    across, down = THUMBNAIL
    if width > 4 * across and height > 4 * down:
        # Sixteen samples of each block are enough, and four times a whole factor is fast.
        size = (4 * across, 4 * down)
        luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.resize(paint(luma), THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


_SAME_BUT_BLURRED = 0.35
"""Root mean square difference of normalised thumbnails, standard deviations."""

_SAME_THERE = 0.15
"""The same of one field: blur alone made it .07 at most, an object of little contrast .3."""


def same_but_blurred(a: Image, b: Image, where: NDArray[np.bool_] | None = None) -> bool:
    """Whether two thumbnails show one scene, at a scale where blur does not matter.

    On the whole, that is: something small may be another. `where`: (rows, columns) fields of the
    picture each of which must be the same by itself as well.
    """
    apart = (_coarse(a) - _coarse(b)) ** 2
    if float(np.mean(apart)) >= _SAME_BUT_BLURRED**2:
        return False
    if where is None or not where.any():
        return True
    rows, columns = where.shape
    fields = np.asarray(cv2.resize(apart, (columns, rows), interpolation=cv2.INTER_AREA))
    return float(fields[where].max()) < _SAME_THERE**2


def _coarse(thumb: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    smooth = cv2.GaussianBlur(thumb.astype(np.float32), (0, 0), 2.6)
    return np.asarray((smooth - smooth.mean()) / (smooth.std() + 2), np.float32)


def difference(a: Image, b: Image) -> float:
    """Largest difference of two thumbnails, grey levels, after their means are made equal."""
    apart = cv2.subtract(a, b, dtype=cv2.CV_16S)
    mean = cv2.mean(apart)[0]
    lowest, highest, _, _ = cv2.minMaxLoc(apart)
    return float(max(highest - mean, mean - lowest))


_CHANGED = 8.0
"""Grey levels, as `difference` counts them: well above noise and flicker."""


def changed(a: Image, b: Image) -> float:
    """Share of the blocks of two thumbnails that differ, 0 to 1."""
    apart = cv2.subtract(a, b, dtype=cv2.CV_16S)
    return float(np.mean(np.abs(apart - cv2.mean(apart)[0]) > _CHANGED))
