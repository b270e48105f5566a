"""Makes thumbnails, and compares them to tell if a view is at rest, changed, or only blurred."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ..arrays import Image
from ..frames import Picture

THUMBNAIL = (64, 36)
"""Width and height of `thumbnail`, pixels."""

GLANCE_S = 0.09
"""Seconds. Frames nearer to each other than this are embedded only where much has changed."""


def thumbnail(luma: Image, paint: Callable[[Image], Image] = lambda luma: luma) -> Image:
    """Returns (36, 64) uint8 of a luma of any size: the picture without detail.

    It serves to recognise a still scene. A block of a 1080p picture is 30 pixels wide, so sensor
    noise averages out and blur changes little, while an object of half a percent of the area covers
    a dozen blocks. `paint` is applied before the last step, so that the part of a block that is not
    painted still counts.
    """
    height, width = luma.shape
    across, down = THUMBNAIL
    if width > 4 * across and height > 4 * down:
        # Sixteen samples of each block are enough, and the last step is fast with a whole factor.
        size = (4 * across, 4 * down)
        luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.resize(paint(luma), THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


def colours(picture: Picture) -> Image:
    """Returns (36, 64, 2) uint8 Cr and Cb of a picture: its colours without detail."""
    across, down = THUMBNAIL
    chroma = picture.chroma(4 * across, 4 * down)
    return np.asarray(cv2.resize(chroma, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


def recoloured(a: Image, b: Image) -> float:
    """Returns the largest difference of two `colours`, levels."""
    return float(cv2.norm(a, b, cv2.NORM_INF))


_SAME_BUT_BLURRED = 0.35
"""Root mean square difference of normalised thumbnails, standard deviations."""

_SAME_THERE = 0.15
"""The same for one cell: blur alone made it .07 at most, an object of little contrast .3."""


def same_but_blurred(a: Image, b: Image, where: NDArray[np.bool_] | None = None) -> bool:
    """Tells whether two thumbnails show one scene, at a scale where blur does not matter.

    The whole picture is compared, so a small thing may differ. `where`: (rows, columns) cells of
    the picture, each of which must be the same by itself too.
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
    """Returns a thumbnail smoothed and normalised to mean 0 and about one standard deviation."""
    smooth = cv2.GaussianBlur(thumb.astype(np.float32), (0, 0), 2.6)
    return np.asarray((smooth - smooth.mean()) / (smooth.std() + 2), np.float32)


def difference(a: Image, b: Image) -> float:
    """Returns the largest difference of two thumbnails, grey levels, once their means are equal."""
    apart = cv2.subtract(a, b, dtype=cv2.CV_16S)
    mean = cv2.mean(apart)[0]
    lowest, highest, _, _ = cv2.minMaxLoc(apart)
    return float(max(highest - mean, mean - lowest))


_CHANGED = 8.0
"""Grey levels, counted as in `difference`: well above noise and flicker."""


def changed(a: Image, b: Image) -> float:
    """Returns the share of the blocks of two thumbnails that differ, 0 to 1."""
    apart = cv2.subtract(a, b, dtype=cv2.CV_16S)
    return float(np.mean(np.abs(apart - cv2.mean(apart)[0]) > _CHANGED))
